"""Hat EBM, synthesis, narrow nets, on CIFAR-10 as JPEG files of quality 75 (NeurIPS 2022).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/cifar10_jpeg75_hat.py --workdir runs/cifar10_jpeg75_hat

Not run yet.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(32, 3)
    hats.on_colour(c, "cifar10_jpeg75", "architecture64")
    return hats.finish(c, variant)
