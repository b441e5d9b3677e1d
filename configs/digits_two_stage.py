"""Joint EBM prior on the hierarchical VAE of `digits_hvae` (CVPR 2023, two stages).

python -m ebm_jax.main --config configs/digits_two_stage.py --workdir runs/digits_two_stage \\
--config.train.first_stage=runs/digits_hvae

Half a minute on one CPU core. fd_classifier over three seeds of the energies: 1.07 ± 0.07, where
the Gaussian prior has 3.05 ± 0.11.
"""

from configs import base, digits_hvae, stages


def get_config(variant: str = "full"):
    c = digits_hvae.get_config()
    stages.joint(c)
    c.sampler.prior.num_steps = 45  # as many as the diffusion's 3 × 15
    c.optim.energy.learning_rate = 1e-3  # at 2e-3 and more it runs away at times
    c.train.num_steps = 2_000
    return base.finish(c, variant)
