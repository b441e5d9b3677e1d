"""SN-GAN, narrow nets, on MNIST: the first stage of `mnist_refine`.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_sngan.py --workdir runs/mnist_sngan

20 minutes on one CPU core. fd_classifier 19.3 (seed 0).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.sngan(28, 1)
    hats.on_grey(c, "mnist")
    return hats.finish(c, variant)
