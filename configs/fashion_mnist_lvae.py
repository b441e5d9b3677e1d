"""Ladder VAE: the nets of `fashion_mnist_ladder`, no energy.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/fashion_mnist_lvae.py --workdir runs/fashion_mnist_lvae

3 minutes on one CPU core, shared. fd_classifier, seed 0: 21.0 for samples of its Gaussian prior,
1.53 for reconstructions.
"""

from configs import base, fashion_mnist_ladder


def get_config(variant: str = "full"):
    c = fashion_mnist_ladder.get_config()
    base.without_energy(c)
    return base.finish(c, variant)
