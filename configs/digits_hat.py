"""Hat EBM, synthesis (NeurIPS 2022), on digits.

python -m ebm_jax.main --config configs/digits_hat.py --workdir runs/digits_hat

Not run yet to its end.
"""

from configs import base, hats


def get_config(variant: str = "full"):
    c = hats.get_config(8, 1)
    c.model.latent_sizes = (16,)
    c.model.generator.hidden = (32, 32)
    c.model.energy.hidden = (32, 32, 32)
    c.model.energy.halvings = 1
    c.hat.temperature = 1e-4
    c.hat.bank_size = 1_000
    c.sampler.prior.num_steps = 30
    c.sampler.prior.step_size = 5e-3
    c.train.num_steps = 3_000
    c.train.steps_per_dispatch = 5
    c.train.log_every = 100
    c.train.checkpoint_every = 500
    c.train.image_every = 500
    return base.finish(c, variant)
