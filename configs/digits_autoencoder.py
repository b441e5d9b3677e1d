"""Deterministic autoencoder on the sphere, on digits: the first stage of `digits_retrofit`.

python -m ebm_jax.main --config configs/digits_autoencoder.py --workdir runs/digits_autoencoder

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.autoencoder(8, 1)
    hats.on_digits(c)
    return hats.finish(c, variant)
