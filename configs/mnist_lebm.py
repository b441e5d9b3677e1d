"""Baseline: latent EBM prior (LEBM), one layer, learned by MCMC, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_lebm.py --workdir runs/mnist_lebm

50 minutes on one CPU core, shared. fd_classifier, seed 0: 63.5 for samples of its Gaussian prior,
26.1 for the EBM prior's, 0.28 for reconstructions.
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.model.latent_sizes = (24,)
    c.method.learning = "mcmc"
    c.eval.posterior = "langevin"
    return base.finish(c, variant)
