"""VAE on equal terms with `equal_lebm`, `equal_joint` and `equal_ladder` (see `configs/equal.py`).

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/equal_vae.py --workdir runs/equal_vae

Four minutes on one CPU core; `--config.data.name=fashion_mnist` for the other set. fd_classifier
48.3 on MNIST, 24.9 on Fashion-MNIST (seed 0).
"""

from configs import base, equal


def get_config(variant: str = "full"):
    c = equal.joint(latent_sizes=(12,), width=282, warmup_steps=16_000, num_steps=25_000)
    base.without_energy(c)
    return base.finish(c, variant)
