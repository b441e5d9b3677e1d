"""Ladder VAE on mnist: the nets of `mnist_ladder`, no energy (the baseline of ICCV 2023).

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_lvae.py --workdir runs/mnist_lvae
"""

from configs import base, mnist_ladder


def get_config(variant: str = "full"):
    c = mnist_ladder.get_config()
    base.without_energy(c)
    c.model.energy.spectral_norm = False
    return base.finish(c, variant)
