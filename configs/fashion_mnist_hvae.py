"""Hierarchical VAE on Fashion-MNIST whose lower layer knows far more than its upper one.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/fashion_mnist_hvae.py --workdir runs/fashion_mnist_hvae

128 latents below 12 and a narrow likelihood: what the upper layer cannot say of an image, the lower
one can, so that their ratio LLR^{>1} tells images of another kind (task `ood`).

Four minutes on one CPU core.
"""

from configs import base, mnist_hvae


def get_config(variant: str = "full"):
    c = mnist_hvae.get_config()
    c.data.name = "fashion_mnist"
    c.model.latent_sizes = (128, 12)
    c.model.likelihood.sigma = 0.1
    c.eval.ood_data = ("mnist", "noise")
    c.eval.redraw = "mode"  # LLR^{>1} of MNIST 0.988; with samples of p(z_1 | z_2) 0.975
    c.eval.tasks = ("fd_classifier", "reconstruction", "ood")
    return base.finish(c, variant)
