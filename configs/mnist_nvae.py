"""Deep hierarchical VAE, three groups of two scales, on MNIST: the backbone of its energies.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_nvae.py --workdir runs/mnist_nvae

28 minutes on one CPU core. fd_classifier, seed 0: 34.0 for the Gaussian prior, 0.17 for
reconstructions.
"""

from configs import nvaes


def get_config(variant: str = "full"):
    return nvaes.finish(nvaes.on_small_images("mnist"), variant)
