"""Deep hierarchical VAE, three groups of two scales, on CIFAR-10 (as JPEG): a small backbone.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/cifar10_jpeg75_nvae.py --workdir runs/cifar10_jpeg75_nvae

22 minutes on one CPU core. FID of 768 features and 1 000 samples, seed 0: 0.958 for the Gaussian
prior, 0.621 for reconstructions.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    return nvaes.finish(nvaes.on_small_photographs("cifar10_jpeg75", 32), variant)
