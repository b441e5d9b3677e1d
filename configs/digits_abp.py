"""Baseline: alternating back-propagation (short-run inference), no energy, on digits.

python -m ebm_jax.main --config configs/digits_abp.py --workdir runs/digits_abp
"""

from configs import base, digits_joint


def get_config(variant: str = "full"):
    c = digits_joint.get_config()
    c.method.learning = "mcmc"
    base.without_energy(c)
    c.eval.posterior = "langevin"
    return base.finish(c, variant)
