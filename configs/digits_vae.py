"""Baseline: VAE, one latent layer and no energy, on digits.

python -m ebm_jax.main --config configs/digits_vae.py --workdir runs/digits_vae
"""

from configs import base, digits_joint


def get_config(variant: str = "full"):
    c = digits_joint.get_config()
    c.model.latent_sizes = (16,)
    base.without_energy(c)
    return base.finish(c, variant)
