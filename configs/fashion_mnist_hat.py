"""Hat EBM, synthesis, narrow nets, on Fashion-MNIST (NeurIPS 2022).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/fashion_mnist_hat.py --workdir runs/fashion_mnist_hat

Not run yet.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(28, 1)
    hats.on_grey(c, "fashion_mnist")
    c.eval.ood_data = ("mnist", "noise")
    c.eval.tasks += ("ood",)
    return hats.finish(c, variant)
