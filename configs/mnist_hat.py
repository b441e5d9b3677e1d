"""Hat EBM, synthesis, narrow nets, on MNIST (NeurIPS 2022).

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_hat.py --workdir runs/mnist_hat

Half an hour on one CPU core. fd_classifier 27.3 for G(z) + y and 32.7 for G(z); after a quarter of
the steps 49.3 and 66.0 (seed 0).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(28, 1)
    hats.on_grey(c, "mnist")
    return hats.finish(c, variant)
