"""Ladder model (ICCV 2023) on equal terms with `equal_vae`, `equal_lebm` and `equal_joint`.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/equal_ladder.py --workdir runs/equal_ladder

Three minutes on one CPU core; `--config.data.name=fashion_mnist` for the other set. fd_classifier
7.4 on MNIST, 3.8 on Fashion-MNIST (seed 0).
"""

from configs import base, equal


def get_config(variant: str = "full"):
    c = equal.ladder(warmup_steps=8_000, num_steps=13_000)
    return base.finish(c, variant)
