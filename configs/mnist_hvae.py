"""Baseline: hierarchical VAE, the nets of mnist_joint without its energies, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_hvae.py --workdir runs/mnist_hvae
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    base.without_energy(c)
    return base.finish(c, variant)
