"""Hat EBM, synthesis (NeurIPS 2022), on digits.

python -m ebm_jax.main --config configs/digits_hat.py --workdir runs/digits_hat

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(8, 1)
    hats.on_digits(c)
    return hats.finish(c, variant)
