"""Ladder VAE: the nets of the toy `mnist01_ladder`, no energy.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist01_lvae.py --workdir runs/mnist01_lvae

Not run yet.
"""

from configs import base, mnist01_ladder


def get_config(variant: str = "full"):
    c = mnist01_ladder.get_config()
    base.without_energy(c)
    return base.finish(c, variant)
