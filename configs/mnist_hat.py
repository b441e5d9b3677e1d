"""Hat EBM, synthesis, narrow nets, on MNIST (NeurIPS 2022).

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_hat.py --workdir runs/mnist_hat

An hour on one CPU core (95 minutes beside others), and half an hour for the evaluation.
fd_classifier 14.1 for G(z) and 9.9 for G(z) + y, still falling (10 000 samples, seed 0;
an earlier run of this seed: 15.5 and 11.3).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(28, 1)
    hats.on_grey(c, "mnist")
    return hats.finish(c, variant)
