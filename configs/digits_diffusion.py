"""Diffusion EBM, T = 3, on the hierarchical VAE of `digits_hvae` (ICML 2024).

python -m ebm_jax.main --config configs/digits_diffusion.py --workdir runs/digits_diffusion \\
--config.train.first_stage=runs/digits_hvae

40 seconds to a minute on one CPU core. fd_classifier over three seeds of the energies:
0.56 ± 0.04, where the joint EBM of `digits_two_stage` has 1.07 ± 0.07 and the Gaussian prior
3.05 ± 0.11.
"""

from configs import base, digits_hvae, stages


def get_config(variant: str = "full"):
    c = digits_hvae.get_config()
    stages.diffusion(c)
    c.sampler.prior.num_steps, c.sampler.prior.step_size = 15, 0.05
    c.optim.energy.learning_rate = 1e-3
    c.train.num_steps = 6_000  # as many Langevin steps as in the 2 000 updates of the joint EBM
    return base.finish(c, variant)
