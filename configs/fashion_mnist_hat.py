"""Hat EBM, synthesis, narrow nets, on Fashion-MNIST (NeurIPS 2022).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/fashion_mnist_hat.py --workdir runs/fashion_mnist_hat

74 minutes on one CPU core. fd_classifier of 10 000 samples, seed 0: 5.12 for G(z) + y, 9.02 for
G(z).
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(28, 1)
    hats.on_grey(c, "fashion_mnist")
    c.eval.ood_data = ("mnist", "noise")
    c.eval.tasks += ("ood",)
    return hats.finish(c, variant)
