"""`mnist_joint_mcmc` with posterior chains that start at an inference net: 5 steps, not 40.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_joint_warm.py --workdir runs/mnist_joint_warm

The generator, the prior and the energies learn from the chains alone; q learns beside them.
"""

from configs import base, mnist_joint_mcmc


def get_config(variant: str = "full"):
    c = mnist_joint_mcmc.get_config()
    c.sampler.posterior.init = "inference"
    c.sampler.posterior.num_steps = 5
    return base.finish(c, variant)
