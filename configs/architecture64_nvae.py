"""Deep hierarchical VAE, three groups of two scales, on photographs of buildings, 64 pixels.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/architecture64_nvae.py --workdir runs/architecture64_nvae

Not run yet.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    c = nvaes.on_small_photographs("architecture64", 64)
    c.data.flip = True  # 6 000 images, each seen 32 times
    return nvaes.finish(c, variant)
