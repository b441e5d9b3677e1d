"""Joint EBM prior (CVPR 2023) on CIFAR-10 (as JPEG), on equal terms with the others.

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/equal_cifar10_joint.py --workdir runs/equal_cifar10_joint

12 minutes on one CPU core; fid 1.077 of 768 features and 1 000 samples (seed 0).
"""

from configs import base, equal, equal_joint


def get_config(variant: str = "full"):
    c = equal_joint.get_config()
    equal.on_cifar10_jpeg75(
        c, latent_sizes=(48, 16), hidden=(504, 504), warmup_steps=5_000, num_steps=8_000
    )
    return base.finish(c, variant)
