"""Joint latent EBM prior, two layers, posterior and prior learned by MCMC, on MNIST.

TFDS_DATA_DIR=… \\
python -m ebm_jax.main --config configs/mnist_joint_mcmc.py --workdir runs/mnist_joint_mcmc

Thirteen minutes on 2 CPU cores. fd_classifier 23.8 for the EBM prior and 66 for the Gaussian one,
reconstruction MSE 0.0068 (seed 0). Posterior chains of 40 steps start from N(0, I);
`mnist_joint_warm` starts them at q and does better in half the time.
"""

from configs import base, mnist_joint


def get_config(variant: str = "full"):
    c = mnist_joint.get_config()
    c.method.learning = "mcmc"
    c.optim.energy_l2 = 1e-3
    c.optim.energy.learning_rate = 5e-4  # at 1e-4 the energy gains almost nothing
    c.train.num_steps = 4_000
    c.train.warmup_steps = 2_000
    c.eval.posterior = "langevin"
    return base.finish(c, variant)
