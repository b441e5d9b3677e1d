"""Ladder model (ICCV 2023) on photographs of buildings, 64 pixels, as `equal_cifar10_ladder`.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/architecture64_ladder.py \\
--workdir runs/architecture64_ladder

20 minutes on one CPU core, shared. FID of 768 features and 1 000 samples, seed 0: 2.66, and 2.91
without energy.
"""

from configs import base, equal_cifar10_ladder


def get_config(variant: str = "full"):
    c = equal_cifar10_ladder.get_config()
    c.data.name, c.data.image_size, c.data.flip = "architecture64", 64, True
    for group in ("generator", "inference"):  # at 1e-3 nine of ten updates are not finite
        c.optim[group].learning_rate = 3e-4
    c.eval.tasks = ("fid", "reconstruction")
    return base.finish(c, variant)
