"""Diffusion EBM on the deep model of `mnist_nvae`, sampled by class, stroke thickness and slant.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_control.py --workdir runs/mnist_control \\
--config.train.first_stage=runs/mnist_nvae

Not run yet to its end.
"""

from configs import base, mnist_diffusion, stages


def get_config(variant: str = "full"):
    c = mnist_diffusion.get_config()
    stages.control(c, (("class", 10), ("thickness", 3), ("slant", 3)))
    return base.finish(c, variant)
