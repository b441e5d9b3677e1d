"""Baseline: latent EBM prior (LEBM), one layer, learned by MCMC, on digits.

python -m ebm_jax.main --config configs/digits_lebm.py --workdir runs/digits_lebm
"""

from configs import base, digits_joint_mcmc


def get_config(variant: str = "full"):
    c = digits_joint_mcmc.get_config()
    c.model.latent_sizes = (16,)
    return base.finish(c, variant)
