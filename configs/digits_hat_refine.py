"""Hat EBM that refines the SN-GAN of `digits_sngan` (NeurIPS 2022).

python -m ebm_jax.main --config configs/digits_hat_refine.py --workdir runs/digits_hat_refine \\
--config.train.first_stage=runs/digits_sngan

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.refinement(8, 1)
    hats.on_digits(c)
    c.model.generator.hidden = (32, 32)
    c.sampler.prior.num_steps = 30
    c.sampler.prior.step_size = 5e-3
    c.eval.prior_steps = None
    c.optim.energy.learning_rate = 1e-4
    c.train.num_steps = 1_500
    return hats.finish(c, variant)
