"""Diffusion EBM, T = 3, on the deep model of `architecture64_nvae` (ICML 2024).

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/architecture64_diffusion.py \\
--workdir runs/architecture64_diffusion --config.train.first_stage=runs/architecture64_nvae

36 minutes on one CPU core, shared. FID of 768 features and 1 000 samples, seed 0: 3.43, and 3.65
without energy.
"""

from configs import architecture64_nvae, base, stages


def get_config(variant: str = "full"):
    c = architecture64_nvae.get_config()
    stages.diffusion_on_small_photographs(c)
    return base.finish(c, variant)
