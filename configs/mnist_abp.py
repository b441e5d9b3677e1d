"""Baseline: alternating back-propagation (short-run inference), no energy, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_abp.py --workdir runs/mnist_abp
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.method.learning = "mcmc"
    base.without_energy(c)
    c.eval.posterior = "langevin"
    return base.finish(c, variant)
