"""Diffusion EBM on the hierarchical VAE of `digits_hvae`, sampled by class and stroke thickness.

python -m ebm_jax.main --config configs/digits_control.py --workdir runs/digits_control \\
--config.train.first_stage=runs/digits_hvae

Not run yet to its end.
"""

from configs import base, digits_diffusion, stages


def get_config(variant: str = "full"):
    c = digits_diffusion.get_config()
    stages.control(c, (("class", 10), ("thickness", 3)))
    c.train.num_steps = 3_500
    return base.finish(c, variant)
