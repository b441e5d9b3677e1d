"""Joint latent EBM prior, two layers, posterior and prior learned by MCMC, on digits.

python -m ebm_jax.main --config configs/digits_joint_mcmc.py --workdir runs/digits_joint_mcmc
"""

from configs import base, digits_joint


def get_config(variant: str = "full"):
    c = digits_joint.get_config()
    c.method.learning = "mcmc"
    c.eval.posterior = "langevin"
    return base.finish(c, variant)
