"""Diffusion EBM, T = 3, on the deep model of `cifar10_jpeg75_nvae` (ICML 2024).

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/cifar10_jpeg75_diffusion.py \\
--workdir runs/cifar10_jpeg75_diffusion --config.train.first_stage=runs/cifar10_jpeg75_nvae

37 minutes on one CPU core with task fid alone. FID of 768 features and 1 000 samples, seed 0:
0.880, and 1.025 without energy.
"""

from configs import base, cifar10_jpeg75_nvae, stages


def get_config(variant: str = "full"):
    c = cifar10_jpeg75_nvae.get_config()
    stages.diffusion_on_small_photographs(c)
    return base.finish(c, variant)
