"""The ladder model's nets and learning (ICCV 2023), which its experiments share."""

from configs import base


def learning(c, *, precision: float) -> None:
    """The paper's optimisers and regularisation.

    Args:
      c: a config.
      precision: 1/2σ² of the likelihood.
    """
    c.method.name = "ladder"
    c.model.likelihood.sigma = (2 * precision) ** -0.5
    c.model.energy.zero_init = False
    c.model.energy.spectral_norm = True
    for group in ("generator", "inference", "energy"):
        c.optim[group] = base.network_optimiser(3e-4)
        c.optim[group].b1, c.optim[group].b2 = 0.0, 0.9
        c.optim[group].decay_per_epoch = 0.998
    c.optim.generator.l2 = c.optim.inference.l2 = 5e-4
    c.optim.energy.learning_rate = 2e-6
    c.data.batch_size = 100


def on_mnist(c) -> None:
    """The data set and how often a run on it is looked at."""
    c.data.name = "mnist"
    c.data.image_size = 28
    c.train.steps_per_dispatch = 5
    c.train.log_every = 500
    c.train.checkpoint_every = 1_000
    c.train.image_every = 4_000
    c.eval.num_samples = 10_000
    c.eval.batch_size = 1_000


def two_phases(c, *, warmup_steps: int) -> None:
    """Learning that small models reach in minutes: a warm-up as a ladder VAE, then the energy.

    In the second phase generator and inference net are slow, so that the energy can follow.

    Args:
      c: a config.
      warmup_steps: of the first phase.
    """
    c.train.warmup_steps = warmup_steps
    for group in ("generator", "inference", "energy"):
        c.optim[group].b1, c.optim[group].b2 = 0.9, 0.999
        c.optim[group].decay_per_epoch = 1.0
    for group in ("generator", "inference"):
        c.optim[group].learning_rate, c.optim[group].joint_learning_rate = 1e-3, 1e-4
        c.optim[group].l2 = 0.0


def five_layers(c) -> None:
    """The nets of the paper's FID models: 5 × 10 latents, concatenated maps (32 px: 55.3 M)."""
    c.model.latent_sizes = (10, 10, 10, 10, 10)
    c.model.generator.update(kind="conv", combine="concat", width=2048, last=128)
    c.model.generator.hidden = (256, 256, 512, 1024)
    c.model.inference.update(kind="conv", width=2048)
    c.model.inference.hidden = (128, 256, 256, 512, 1024)
    c.model.energy.hidden = (100, 100)
    c.sampler.prior.num_steps = 100
    c.sampler.prior.step_size = 0.3


def four_layers(c) -> None:
    """The nets of the paper's hierarchical sampling: 2, 2, 2 and 10 latents, added maps."""
    c.model.latent_sizes = (2, 2, 2, 10)
    c.model.generator.update(kind="conv", combine="add", width=256)
    c.model.generator.hidden = (32, 64, 64)
    c.model.inference.update(kind="conv", width=256)
    c.model.inference.hidden = (32, 64, 64, 256)
    c.model.energy.hidden = (50, 50, 50, 50)
    c.sampler.prior.num_steps = 60
    c.sampler.prior.step_size = 0.4


def three_layers(c) -> None:
    """The nets of the paper's MNIST-like sets: three ladders of two latents."""
    c.model.latent_sizes = (2, 2, 2)
    c.model.generator.update(kind="conv", combine="add", width=1024)
    c.model.generator.hidden = (64, 128)
    c.model.inference.update(kind="conv", width=1024)
    c.model.inference.hidden = (64, 128, 128)
    c.model.energy.hidden = (50, 50, 50, 50)
    c.sampler.prior.num_steps = 60
    c.sampler.prior.step_size = 0.4
