"""Baseline: VAE, one latent layer and no energy, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_vae.py --workdir runs/mnist_vae
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.model.latent_sizes = (24,)
    base.without_energy(c)
    return base.finish(c, variant)
