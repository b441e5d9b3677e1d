"""Ladder model, three layers of dense nets, on scikit-learn's 8×8 digits (ICCV 2023).

python -m ebm_jax.main --config configs/digits_ladder.py --workdir runs/digits_ladder

fd_classifier 5.84 for the EBM prior, 5.77 for the Gaussian one (seed 0): the energy gains nothing.
"""

from configs import base, ladders


def get_config(variant: str = "full"):
    c = base.get_config()
    ladders.learning(c, precision=1 / (2 * 0.3**2))
    ladders.two_phases(c, warmup_steps=4_000)
    c.model.latent_sizes = (8, 8, 8)
    c.model.generator.hidden = (128, 128, 128)
    c.model.inference.hidden = (128, 128, 128)
    c.model.energy.hidden = (64, 64)
    c.sampler.prior.num_steps = 60
    c.sampler.prior.step_size = 0.3
    c.optim.energy.learning_rate = 1e-4
    c.train.num_steps = 8_000
    c.train.steps_per_dispatch = 5
    c.train.log_every = 500
    c.train.checkpoint_every = 2_000
    c.train.image_every = 4_000
    return base.finish(c, variant)
