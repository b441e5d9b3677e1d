"""Hat EBM that makes a sampler of the autoencoder of `digits_autoencoder` (NeurIPS 2022).

python -m ebm_jax.main --config configs/digits_hat_retrofit.py --workdir runs/digits_hat_retrofit \\
--config.train.first_stage=runs/digits_autoencoder

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.retrofit(8, 1)
    hats.on_digits(c)
    c.model.generator.hidden = (32,)
    c.sampler.prior.num_steps = 40
    c.sampler.prior.step_size = 5e-3
    c.eval.prior_steps = None
    c.train.num_steps = 3_000
    return hats.finish(c, variant)
