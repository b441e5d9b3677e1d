"""Toy of the joint latent EBM prior (CVPR 2023): MNIST's 0 and 1, layers of 2 + 2.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist01_joint.py --workdir runs/mnist01_joint

The task `latent_scatter` draws both layers' prior and posterior chains.
With 8 000 steps (energies diverged once behind 7 000) energy distance to the aggregate posterior
0.0035 and 0.0059 (layers 1, 2) where the Gaussian prior has 0.051 and 0.084 (seed 0, 2 CPU cores).
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.data.classes = (0, 1)
    c.model.latent_sizes = (2, 2)
    c.train.num_steps = 6_500  # the energies run away from 7 000 on
    c.train.warmup_steps = 4_000
    c.eval.num_samples = 2_000
    c.eval.tasks = ("fd_classifier", "chains", "reconstruction", "latent_scatter")
    return base.finish(c, variant)
