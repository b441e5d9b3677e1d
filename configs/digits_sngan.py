"""SN-GAN on digits, the first stage of `digits_hat_refine`.

python -m ebm_jax.main --config configs/digits_sngan.py --workdir runs/digits_sngan

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.sngan(8, 1)
    hats.on_digits(c)
    c.model.generator.hidden = (32, 32)
    c.train.num_steps = 3_000
    return hats.finish(c, variant)
