"""Ladder VAE on MNIST: the nets of `mnist_ladder`, no energy (the baseline of ICCV 2023).

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_lvae.py --workdir runs/mnist_lvae

Two minutes on 2 CPU cores. fd_classifier 40.1 (seed 0), where `mnist_ladder` has 7.3.
"""

from configs import base, mnist_ladder


def get_config(variant: str = "full"):
    c = mnist_ladder.get_config()
    base.without_energy(c)
    return base.finish(c, variant)
