"""Hat EBM, synthesis, narrow nets, on MNIST (NeurIPS 2022).

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_hat.py --workdir runs/mnist_hat

Not run yet: the recorded numbers are of narrower nets and 20 steps (commit 76b0598).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(28, 1)
    hats.on_grey(c, "mnist")
    return hats.finish(c, variant)
