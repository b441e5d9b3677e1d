"""Joint latent EBM prior, two layers, variational learning, on MNIST.

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_joint.py --workdir runs/mnist_joint

Seven minutes on 2 CPU cores. fd_classifier over three seeds: 11.2 ± 2.8 for the EBM prior, where
the baseline `mnist_hvae` has 21.5 ± 4.3; 11.5 ± 3.2 after chains of 2 500 steps.
"""

from configs import base


def get_config(variant: str = "full"):
    c = base.get_config()
    c.data.name = "mnist"
    c.data.image_size = 28
    c.model.latent_sizes = (24, 12)
    c.model.generator.hidden = (256, 256)
    c.model.inference.hidden = (256, 256)
    c.model.inference.latent_hidden = (128, 128)
    c.model.prior.hidden = (128, 128)
    c.model.energy.hidden = (128, 128)
    c.sampler.prior.num_steps = 60
    c.sampler.prior.step_size = 0.4
    c.optim.generator.joint_learning_rate = 1e-4
    c.optim.inference.joint_learning_rate = 1e-4  # at 1e-3 q outruns the energies: they diverge
    c.optim.prior.joint_learning_rate = 3e-5
    c.optim.energy_l2 = 1e-2  # bounds the energies: q climbs them
    c.stability.max_energy = 100.0  # a healthy run stays below 10
    c.train.num_steps = 13_000
    c.train.warmup_steps = 8_000
    c.train.steps_per_dispatch = 5  # so that the host costs little of such short steps
    c.train.log_every = 500
    c.train.checkpoint_every = 1_000
    c.train.image_every = 4_000
    c.eval.num_samples = 10_000
    c.eval.batch_size = 1_000
    return base.finish(c, variant)
