"""Ladder model (ICCV 2023) on CIFAR-10 (as JPEG), on equal terms with the others.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/equal_cifar10_ladder.py --workdir runs/equal_cifar10_ladder

11 minutes on one CPU core; fid 1.335 of 768 features and 1 000 samples (seed 0).
"""

from configs import base, equal, equal_ladder


def get_config(variant: str = "full"):
    c = equal_ladder.get_config()
    equal.on_cifar10_jpeg75(
        c, latent_sizes=(8, 16, 40), hidden=(384, 512, 768), warmup_steps=5_000, num_steps=7_500
    )
    return base.finish(c, variant)
