"""Deep hierarchical VAE, three groups of two scales, on MNIST: the backbone of its energies.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_nvae.py --workdir runs/mnist_nvae

Not run yet.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    c = nvaes.nvae(
        *("mnist", 28, 1),
        scales=(2, 1),
        latent_side=8,
        latent_channels=2,
        width=16,
        cells=1,
        num_steps=8000,
    )
    c.eval.num_samples = 10_000
    return nvaes.finish(c, variant)
