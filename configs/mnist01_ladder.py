"""Toy of the ladder model (ICCV 2023): MNIST's 0 and 1, layers of 2 + 2.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist01_ladder.py --workdir runs/mnist01_ladder

The task `latent_scatter` draws both layers' prior and posterior chains.
Two minutes on 2 CPU cores. Energy distance to the aggregate posterior 0.0007 and 0.0056 (layers 1
and 2) where the model's Gaussian prior has 0.109 and 0.185 (seed 0).
Its baseline is `mnist01_lvae`, not run yet.
"""

from configs import base, mnist_ladder


def get_config(variant: str = "full"):
    c = mnist_ladder.get_config()
    c.data.classes = (0, 1)
    c.model.latent_sizes = (2, 2)
    c.model.generator.hidden = (128, 256)
    c.model.inference.hidden = (128, 256)
    c.train.num_steps = 6_500
    c.train.warmup_steps = 4_000
    c.eval.num_samples = 2_000
    c.eval.tasks = ("fd_classifier", "chains", "reconstruction", "latent_scatter")
    return base.finish(c, variant)
