"""Deep hierarchical VAE, three groups of two scales, on Fashion-MNIST: a backbone of energies.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/fashion_mnist_nvae.py --workdir runs/fashion_mnist_nvae

30 minutes on one CPU core. fd_classifier, seed 0: 32.5 for the Gaussian prior, 0.45 for
reconstructions.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    return nvaes.finish(nvaes.on_small_images("fashion_mnist"), variant)
