"""Toy of the joint latent EBM prior (CVPR 2023): MNIST's 0 and 1, layers of 2 + 2.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist01_joint.py --workdir runs/mnist01_joint

The task `latent_scatter` draws both layers' prior and posterior chains.
Three minutes on 2 CPU cores. Energy distance of layer 1 to the aggregate posterior 0.0025 after 60
steps and 0.0049 after 2 500, where the Gaussian prior has 0.034; layer 2 is Gaussian already: 0.002
(seed 0).
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
