"""Deterministic autoencoder on the sphere, on MNIST: the first stage of `mnist_retrofit`.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_autoencoder.py --workdir runs/mnist_autoencoder

Not run yet.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.autoencoder(28, 1)
    hats.on_grey(c, "mnist")
    return hats.finish(c, variant)
