"""Ladder model (ICCV 2023) on photographs of buildings, 64 pixels, as `equal_cifar10_ladder`.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/architecture64_ladder.py \\
--workdir runs/architecture64_ladder

Not run yet to its end.
"""

from configs import base, equal_cifar10_ladder


def get_config(variant: str = "full"):
    c = equal_cifar10_ladder.get_config()
    c.data.name, c.data.image_size, c.data.flip = "architecture64", 64, True
    c.eval.ood_data = ("cifar10_jpeg75", "noise")
    return base.finish(c, variant)
