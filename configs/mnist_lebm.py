"""Baseline: latent EBM prior (LEBM), one layer, learned by MCMC, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_lebm.py --workdir runs/mnist_lebm
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.model.latent_sizes = (24,)
    c.method.learning = "mcmc"
    c.eval.posterior = "langevin"
    return base.finish(c, variant)
