"""Diffusion EBM, T = 3, on the hierarchical VAE of `digits_hvae` (ICML 2024).

python -m ebm_jax.main --config configs/digits_diffusion.py --workdir runs/digits_diffusion \\
--config.train.first_stage=runs/digits_hvae

Not run yet to its end.
"""

from configs import base, digits_hvae, stages


def get_config(variant: str = "full"):
    c = digits_hvae.get_config()
    stages.diffusion(c)
    return base.finish(c, variant)
