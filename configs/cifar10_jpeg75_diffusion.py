"""Diffusion EBM, T = 3, on the deep model of `cifar10_jpeg75_nvae` (ICML 2024).

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/cifar10_jpeg75_diffusion.py \\
--workdir runs/cifar10_jpeg75_diffusion --config.train.first_stage=runs/cifar10_jpeg75_nvae

Not run yet.
"""

from configs import base, cifar10_jpeg75_nvae, stages


def get_config(variant: str = "full"):
    c = cifar10_jpeg75_nvae.get_config()
    stages.diffusion_on_small_images(c)
    return base.finish(c, variant)
