"""Baseline: VAE, one latent layer and no energy, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_vae.py --workdir runs/mnist_vae
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.model.latent_sizes = (24,)
    c.model.energy.enabled = False
    c.train.warmup_steps = 0
    return base.finish(c, variant)
