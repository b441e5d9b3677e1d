"""Baseline: hierarchical VAE, the nets of digits_joint without its energies, on digits.

python -m ebm_jax.main --config configs/digits_hvae.py --workdir runs/digits_hvae

Half a minute on 2 CPU cores. fd_classifier over three seeds: 3.31 ± 0.22.
"""

from configs import base, digits_joint


def get_config(variant: str = "full"):
    c = digits_joint.get_config()
    base.without_energy(c)
    return base.finish(c, variant)
