"""Ladder VAE: the nets of the toy `mnist01_ladder`, no energy.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist01_lvae.py --workdir runs/mnist01_lvae

A minute on one CPU core, shared. fd_classifier, seed 0: 15.6 for samples of its Gaussian prior,
0.32 for reconstructions.
"""

from configs import base, mnist01_ladder


def get_config(variant: str = "full"):
    c = mnist01_ladder.get_config()
    base.without_energy(c)
    return base.finish(c, variant)
