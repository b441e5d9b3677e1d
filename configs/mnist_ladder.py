"""Ladder model, three layers of 2, 4 and 6 latents, dense nets, on MNIST (ICCV 2023).

TFDS_DATA_DIR=… python -m ebm_jax.main --config configs/mnist_ladder.py --workdir runs/mnist_ladder

Three minutes on one CPU core. fd_classifier 7.28 ± 0.36 for the EBM prior over three seeds, where
the baseline `mnist_lvae` has 40.1; the class of 19, 36 and 82 % of samples changes with layer 1, 2
and 3. `mnist_ladder_conv` has the paper's nets.
"""

from configs import base, ladders


def get_config(variant: str = "full"):
    c = base.get_config()
    ladders.on_mnist(c)
    ladders.learning(c, precision=1 / (2 * 0.3**2))
    ladders.two_phases(c, warmup_steps=8_000)
    c.model.latent_sizes = (2, 4, 6)
    c.model.generator.hidden = (128, 256, 512)  # equal widths leave the class to every layer
    c.model.inference.hidden = (128, 256, 512)
    c.model.energy.hidden = (256, 256)
    c.model.energy.spectral_norm = False  # 1-Lipschitz it tilts the prior too little
    c.model.energy.zero_init = True
    c.sampler.prior.num_steps = 60
    c.sampler.prior.step_size = 0.4
    c.optim.energy.learning_rate = 3e-4
    c.optim.energy_l2 = 1e-2
    c.stability.max_energy = 100.0  # a healthy run stays below 10
    c.train.num_steps = 13_000
    c.eval.tasks = ("fd_classifier", "chains", "reconstruction", "hierarchy", "latent_classifier")
    return base.finish(c, variant)
