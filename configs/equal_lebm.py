"""LEBM, one latent layer, on equal terms with `equal_vae`, `equal_joint` and `equal_ladder`.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/equal_lebm.py --workdir runs/equal_lebm

Four minutes on one CPU core; `--config.data.name=fashion_mnist` for the other set. fd_classifier
9.0 on MNIST, 3.4 on Fashion-MNIST (seed 0).
q is in the place of LEBM's posterior chains, see `configs/equal.py`.
"""

from configs import base, equal


def get_config(variant: str = "full"):
    c = equal.joint(latent_sizes=(12,), width=275, warmup_steps=8_000, num_steps=16_500)
    return base.finish(c, variant)
