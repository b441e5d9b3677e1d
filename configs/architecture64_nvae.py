"""Deep hierarchical VAE, three groups of two scales, on photographs of buildings, 64 pixels.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/architecture64_nvae.py --workdir runs/architecture64_nvae

28 minutes on one CPU core. FID of 768 features and 1 000 samples, seed 0: 3.68 for the Gaussian
prior, 2.54 for reconstructions.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    c = nvaes.on_small_photographs("architecture64", 64)
    c.data.flip = True  # 6 000 images, each seen 32 times
    return nvaes.finish(c, variant)
