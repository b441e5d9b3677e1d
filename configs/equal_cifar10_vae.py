"""VAE on CIFAR-10 (as JPEG) on equal terms with LEBM and papers 1 and 2 (see `configs/equal.py`).

TFDS_DATA_DIR=… EBM_JAX_INCEPTION=… \\
python -m ebm_jax.main --config configs/equal_cifar10_vae.py --workdir runs/equal_cifar10_vae

9 minutes on one CPU core; fid 1.027 of 768 features and 1 000 samples (seed 0).
"""

from configs import base, equal, equal_vae


def get_config(variant: str = "full"):
    c = equal_vae.get_config()
    equal.on_cifar10_jpeg75(
        c, latent_sizes=(64,), hidden=(512, 512), warmup_steps=6_000, num_steps=9_000
    )
    return base.finish(c, variant)
