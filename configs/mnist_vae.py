"""Baseline: VAE, one latent layer and no energy, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_vae.py --workdir runs/mnist_vae

4 minutes on one CPU core, shared. fd_classifier, seed 0: 64.3 for samples of its Gaussian prior,
0.52 for reconstructions.
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.model.latent_sizes = (24,)
    base.without_energy(c)
    return base.finish(c, variant)
