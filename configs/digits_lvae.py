"""Ladder VAE on digits: the nets of `digits_ladder`, no energy (the baseline of ICCV 2023).

python -m ebm_jax.main --config configs/digits_lvae.py --workdir runs/digits_lvae
"""

from configs import base, digits_ladder


def get_config(variant: str = "full"):
    c = digits_ladder.get_config()
    base.without_energy(c)
    c.model.energy.spectral_norm = False
    return base.finish(c, variant)
