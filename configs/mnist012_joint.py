"""Toy of the joint latent EBM prior (CVPR 2023): MNIST's 0, 1 and 2, layers of 2 + 2.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist012_joint.py --workdir runs/mnist012_joint

The task `latent_scatter` draws both layers' prior and posterior chains.
Two minutes on 2 CPU cores. Energy distance to the aggregate posterior 0.002 and −0.002 (layers 1,
2) where the Gaussian prior has 0.024 and 0.004 (seed 0).
"""

from configs import mnist01_joint


def get_config(variant: str = "full"):
    c = mnist01_joint.get_config(variant)
    c.data.classes = (0, 1, 2)
    return c
