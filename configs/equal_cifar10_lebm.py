"""LEBM on CIFAR-10 (as JPEG), on equal terms with the other `equal_cifar10` models.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/equal_cifar10_lebm.py --workdir runs/equal_cifar10_lebm

11 minutes on one CPU core; fid 1.008 of 768 features and 1 000 samples (seed 0).
"""

from configs import base, equal, equal_lebm


def get_config(variant: str = "full"):
    c = equal_lebm.get_config()
    equal.on_cifar10_jpeg75(
        c, latent_sizes=(64,), hidden=(508, 508), warmup_steps=5_000, num_steps=8_000
    )
    return base.finish(c, variant)
