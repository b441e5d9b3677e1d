"""Toy of the joint latent EBM prior (CVPR 2023): MNIST's 0, 1 and 2, layers of 2 + 2.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist012_joint.py --workdir runs/mnist012_joint

The task `latent_scatter` draws both layers' prior and posterior chains.
Two minutes on 2 CPU cores. Energy distance of layer 1 to the aggregate posterior 0.002 after 60
steps and 0.006 after 2 500, where the Gaussian prior has 0.024; layer 2 is nearly Gaussian already:
0.004 (seed 0).
"""

from configs import mnist01_joint


def get_config(variant: str = "full"):
    c = mnist01_joint.get_config(variant)
    c.data.classes = (0, 1, 2)
    return c
