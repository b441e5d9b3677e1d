"""Hat EBM that refines the SN-GAN of `digits_sngan` (NeurIPS 2022).

python -m ebm_jax.main --config configs/digits_refine.py --workdir runs/digits_refine \\
--config.train.first_stage=runs/digits_sngan

Not run yet to its end.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.refinement(8, 1)
    hats.on_digits(c)
    return hats.finish(c, variant)
