"""Hat EBM, synthesis, narrow nets, on photographs of buildings, 64 pixels (NeurIPS 2022).

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/architecture64_hat.py --workdir runs/architecture64_hat

Not run yet.
"""

from configs import hats


def get_config(variant: str = "full"):
    c = hats.synthesis(64, 3)
    hats.on_colour(c, "architecture64", "cifar10_jpeg75")
    return hats.finish(c, variant)
