"""Hat EBM (NeurIPS 2022) and its first stages: settings that their experiments share."""

import ml_collections
from ml_collections.config_dict import placeholder

from configs import base


def synthesis(side: int, channels: int):
    """The conditional density, with the paper's settings and nets of 32 pixels.

    Args:
      side: of the images, pixels.
      channels: of the images.

    Returns:
      The config; each experiment sets its nets and durations.
    """
    c = _on_images(side, channels)
    c.method.name = "hat"
    c.hat = ml_collections.ConfigDict(
        dict(
            density="conditional",  # conditional: the generator learns too | joint: it is frozen
            temperature=1e-8,  # T
            tau=0.0,  # weight of the residual's squared norm
            eval_tau=placeholder(float),  # when sampling; default: tau
            z_step_size=0.0,  # ε_z; 0 = z stays
            data_noise=1e-3,  # standard deviation added to the data
            bank_size=10_000,  # pairs (z, x) from which the generator learns
            generator_weight=1_000.0,  # on its mean squared error
        )
    )
    c.sampler.prior.space = "y"
    c.sampler.prior.num_steps = 50
    c.sampler.prior.step_size = 5e-4
    c.sampler.prior.clip = 2.5
    c.optim.generator = base.network_optimiser(1e-4)
    c.optim.energy = base.network_optimiser(1e-4)
    c.train.num_steps = 50_000
    return c


def refinement(side: int, channels: int):
    """The joint density on an SN-GAN's generator, with the paper's settings for CIFAR-10.

    Args, Returns: as `synthesis`.
    """
    c = synthesis(side, channels)
    c.hat.density = "joint"
    c.hat.temperature = 1e-3
    c.hat.z_step_size = 5e-3
    c.hat.eval_tau = 8.0
    c.model.generator.out_factor = 1.0
    c.sampler.prior.num_steps = 250
    c.sampler.prior.step_size = 1e-4
    c.eval.prior_steps = 350
    c.eval.tasks += ("refinement",)
    c.optim.energy.learning_rate = 1e-5
    c.train.num_steps = 25_000
    return c


def retrofit(side: int, channels: int):
    """The joint density on an autoencoder's decoder, with the paper's settings.

    Args, Returns: as `synthesis`.
    """
    c = synthesis(side, channels)
    c.hat.density = "joint"
    c.hat.temperature = 1e-3
    c.hat.z_step_size = 1e-3
    c.hat.tau = 50.0
    c.hat.data_noise = 1e-2
    _sphere(c)
    c.sampler.prior.num_steps = 100
    c.eval.prior_steps = 125
    c.eval.tasks += ("refinement",)
    c.train.num_steps = 25_000
    return c


def autoencoder(side: int, channels: int):
    """The first stage of `retrofit`, with the paper's settings.

    Args, Returns: as `synthesis`.
    """
    c = _on_images(side, channels)
    c.method.name = "autoencoder"
    c.autoencoder = ml_collections.ConfigDict(
        dict(
            latent_noise=0.02,  # standard deviation, per latent
            weight=1_000.0,  # on the mean squared error
        )
    )
    _sphere(c)
    c.model.inference = ml_collections.ConfigDict(dict(hidden=(256,)))
    c.model.inference.compute_dtype = placeholder(str)
    c.model.energy.enabled = False
    c.eval.posterior = "encoder"
    c.optim.generator = base.network_optimiser(1e-4)
    c.optim.inference = base.network_optimiser(1e-4)
    c.eval.tasks = ("fd_classifier", "reconstruction")
    return c


def sngan(side: int, channels: int):
    """The first stage of `refinement`: batches of 64, five steps of D for one of G.

    As SN-GAN's authors train it; D is half as wide as H at 32 pixels. `finish` lets the learning
    rates fall to zero at the run's end.

    Args, Returns: as `synthesis`.
    """
    c = _on_images(side, channels)
    c.method.name = "sngan"
    c.gan = ml_collections.ConfigDict(dict(discriminator_steps=5))
    c.data.batch_size = 320  # of all the discriminator's steps
    c.model.discriminator = c.model.energy
    c.model.discriminator.hidden = (128, 128, 128, 128)
    c.model.energy = base.get_config().model.energy
    c.model.energy.enabled = False
    c.model.generator.out_factor = 1.0
    for group in ("generator", "discriminator"):
        c.optim[group] = base.network_optimiser(2e-4)
        c.optim[group].b1, c.optim[group].b2 = 0.0, 0.9
    c.eval.tasks = ("fd_classifier",)
    c.train.num_steps = 100_000
    c.train.ema_decay = 0.0  # the statistics are those of the newest parameters
    return c


def on_digits(c) -> None:
    """Narrow nets, small batches and short chains, for images of 8 × 8."""
    _widths(c, generator=(32, 16), critic=(16, 32), halvings=1)
    c.model.latent_sizes = (16,)
    _short(c, bank_size=1_000, num_steps=3_200)


def on_grey(c, name: str) -> None:
    """Narrow nets, small batches and short chains, for grey images of 28 × 28, padded to 32."""
    c.data.name = name
    generator, critic, num_steps = (64, 64, 32, 16), (8, 16, 64, 128), 2_000
    c.eval.num_samples = 10_000
    if "gan" in c:
        critic = (8, 16, 32, 64)
    elif "hat" in c and c.hat.density == "joint":
        num_steps, c.eval.num_samples = 800, 5_000  # its chains go through the generator
        c.eval.tasks = ("residual", "chains", "refinement")
    elif "hat" in c:
        generator, num_steps = (256, 128, 64, 16), 3_000
        c.eval.tasks += ("learning_curve",)
    _widths(c, generator=generator, critic=critic, halvings=3)
    _short(c, bank_size=2_000, num_steps=num_steps)


def on_colour(c, name: str, outside: str) -> None:
    """Narrow nets, small batches and short chains, for synthesis of colour images.

    Args:
      c: a config.
      name: of the data set.
      outside: another, for task `ood`.
    """
    c.data.name = name
    doublings = c.data.image_size.bit_length() - 3
    widths = (256, *(128, 128, 64, 16)[-doublings:])
    _widths(c, generator=widths, critic=(8, 16, 64, 128), halvings=3)
    _short(c, bank_size=2_000, num_steps=3_000)
    c.eval.num_samples = c.eval.fid_reference = 1_000
    c.eval.fid_features = 768
    c.eval.ood_data = (outside, "noise")
    c.eval.tasks = ("fid", "residual", "chains", "learning_curve", "ood")


def on_celeb_a(c) -> None:
    """The paper's nets for 64 pixels."""
    c.data.name = "celeb_a"
    c.data.crop = 148
    _widths(c, generator=(1024, 512, 256, 128, 64), critic=(64, 128, 256, 512, 1024), halvings=5)
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid", "residual", "chains")


def on_imagenet(c) -> None:
    """The paper's nets for 128 pixels, and its longer training."""
    c.data.name = "imagenet2012"
    critic = (64, 128, 256, 512, 1024, 1024)
    _widths(c, generator=(1024, 1024, 512, 256, 128, 64), critic=critic, halvings=5)
    c.train.num_steps = 300_000
    c.eval.prior_steps = 150
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid", "residual", "chains")


def _widths(c, *, generator, critic, halvings) -> None:
    """Widths of the nets; a sphere's decoder and encoder have the generator's last."""
    sphere = c.model.generator.kind == "sphere"
    c.model.generator.hidden = generator[-1:] if sphere else generator
    if "autoencoder" in c:
        c.model.inference.hidden = generator[-1:]
    part = "discriminator" if "discriminator" in c.model else "energy"
    if part == "discriminator" or c.model.energy.enabled:
        c.model[part].update(hidden=critic, halvings=halvings)


def _short(c, *, bank_size: int, num_steps: int) -> None:
    """What minutes to an hour on two CPU cores allow."""
    c.data.batch_size = 64
    if "hat" in c:
        c.hat.bank_size = bank_size
        c.sampler.prior.num_steps = 20
        c.eval.long_chain_steps, c.eval.long_chain_samples = 500, 200
        c.sampler.prior.step_size = 5e-3
        # Without this noise and with the generator's rate 1e-4 mnist_hat (seed 0) ran away within
        # 800 steps; which of the two keeps it was not looked into.
        c.hat.data_noise = 0.03
        if c.hat.density == "conditional":
            c.hat.temperature = 1e-6  # with these steps the drift of the paper's synthesis
            c.optim.generator.learning_rate = 1e-3
            c.eval.prior_steps = 50  # the paper's 2.5 times as many as in training
        else:
            # A gradient moves z ten times as far as y, between the paper's 2 500 and 4 times.
            c.hat.temperature = 1e-5
            c.hat.z_step_size = 0.016
            c.optim.energy.learning_rate = 1e-4  # refinement's 1e-5 is for 25 000 steps
            c.eval.prior_steps = 30
    if "gan" in c:
        c.data.batch_size = 64 * c.gan.discriminator_steps
    c.train.num_steps = num_steps
    c.train.log_every = 100
    c.train.checkpoint_every = c.train.image_every = num_steps // 4
    c.train.keep_checkpoints = c.eval.last_checkpoints = 4  # task `learning_curve`


def _on_images(side, channels):
    c = base.get_config()
    c.data.image_size, c.data.channels = side, channels
    c.data.batch_size = 128
    c.model.latent_sizes = (128,)
    c.model.generator = ml_collections.ConfigDict(
        # hidden: widths of the first map and of every doubling
        dict(kind="resnet", hidden=(256, 256, 256, 256), out_factor=2.0)
    )
    c.model.energy = ml_collections.ConfigDict(
        # halvings: the first so many blocks halve the side
        dict(enabled=True, hidden=(256, 256, 256, 256), halvings=2)
    )
    for part in ("generator", "energy"):
        c.model[part].compute_dtype = placeholder(str)
    c.eval.tasks = ("fd_classifier", "residual", "chains")
    return c


def _sphere(c) -> None:
    """Maps of latents of half the side."""
    side = 1 << (c.data.image_size - 1).bit_length()
    c.model.latent_sizes = ((side // 2) ** 2,)
    c.model.generator.kind = "sphere"
    c.model.generator.hidden = (256,)


def finish(c, variant: str):
    """`base.finish`, and what follows from the durations; `:quick` has a smaller bank."""
    c = base.finish(c, variant)
    quick = variant == "quick"
    if "gan" in c:
        if quick:
            c.data.batch_size = 8 * c.gan.discriminator_steps
        for group in ("generator", "discriminator"):
            c.optim[group].linear_decay_steps = c.train.num_steps
    if "hat" in c and quick:
        c.hat.bank_size = min(c.hat.bank_size, 200)
        c.eval.prior_steps = None
    return c
