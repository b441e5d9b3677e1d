"""Joint EBM prior (CVPR 2023) on equal terms with `equal_vae`, `equal_lebm` and `equal_ladder`.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/equal_joint.py --workdir runs/equal_joint

Three minutes on one CPU core; `--config.data.name=fashion_mnist` for the other set. fd_classifier
8.5 on MNIST, 4.7 on Fashion-MNIST (seed 0).
"""

from configs import base, equal


def get_config(variant: str = "full"):
    c = equal.joint(latent_sizes=(8, 4), width=256, warmup_steps=8_000, num_steps=13_500)
    c.optim.energy_l2 = 0.1  # at mnist_joint's 0.01 eight latents and four diverge in 4 500 steps
    return base.finish(c, variant)
