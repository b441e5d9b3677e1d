"""Hat EBM, synthesis (NeurIPS 2022), on digits.

python -m ebm_jax.main --config configs/digits_hat.py --workdir runs/digits_hat

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(8, 1)
    hats.on_digits(c)
    c.model.generator.hidden = (32, 32)
    c.hat.temperature = 1e-4
    c.hat.bank_size = 1_000
    c.sampler.prior.num_steps = 30
    c.sampler.prior.step_size = 5e-3
    c.train.num_steps = 3_000
    return hats.finish(c, variant)
