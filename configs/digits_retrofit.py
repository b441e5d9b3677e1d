"""Hat EBM that makes a sampler of the autoencoder of `digits_autoencoder` (NeurIPS 2022).

python -m ebm_jax.main --config configs/digits_retrofit.py --workdir runs/digits_retrofit \\
--config.train.first_stage=runs/digits_autoencoder

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.retrofit(8, 1)
    hats.on_digits(c)
    return hats.finish(c, variant)
