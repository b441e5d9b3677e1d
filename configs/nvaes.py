"""Deep hierarchical VAEs (NVAE, NeurIPS 2020): settings that their experiments share."""

import ml_collections

from configs import base


def nvae(
    name: str,
    side: int,
    channels: int,
    *,
    scales: tuple[int, ...],
    latent_side: int,
    latent_channels: int,
    width: int,
    cells: int,
    num_steps: int,
) -> ml_collections.ConfigDict:
    """A backbone's config.

    Args:
      name: of the data set.
      side, channels: of its images.
      scales: groups of each scale, finest first.
      latent_side: of the finest latents, pixels.
      latent_channels: of every group.
      width: channels of the nets at the finest scale of latents.
      cells: residual cells before each group.
      num_steps: of training.

    Returns:
      The config; `finish` sets the learning rates' course.
    """
    c = base.get_config()
    c.data.name, c.data.image_size, c.data.channels = name, side, channels
    c.method.name = "nvae"
    c.nvae = ml_collections.ConfigDict(
        dict(
            kl_warmup=0.3,  # fraction of training in which the KL terms rise to their weight
            spectral_weight=1e-2,  # on the sum of all convolutions' largest singular values
        )
    )
    c.model.latent_sizes = (latent_channels,) * sum(scales)
    c.model.generator.update(kind="nvae", hidden=(width,))
    c.model.generator.scales = scales
    c.model.generator.latent_side = latent_side
    c.model.generator.patch = 1  # side of the squares of pixels that are one position of the nets
    c.model.inference.update(kind="nvae", hidden=(width,))
    c.model.generator.cells = c.model.inference.cells = cells
    c.model.energy.enabled = False
    for group in ("generator", "inference"):
        c.optim[group] = base.network_optimiser(1e-2)
        c.optim[group].update(algorithm="adamax", final_learning_rate=1e-4)
    c.train.num_steps = num_steps
    c.train.ema_decay = 0.0  # the statistics are those of the newest parameters
    c.eval.recalibration_batches = 100
    return c


def on_small_images(name: str) -> ml_collections.ConfigDict:
    """A backbone for a set of 28-pixel grey images that one core trains in half an hour."""
    c = nvae(
        *(name, 28, 1),
        scales=(2, 1),
        latent_side=8,
        latent_channels=2,
        width=16,
        cells=1,
        num_steps=5_000,
    )
    c.model.generator.patch = 2  # a step takes 0.4 of the time
    c.data.batch_size = 64
    c.eval.num_samples = 10_000
    return c


def on_small_photographs(name: str, side: int) -> ml_collections.ConfigDict:
    """A backbone for small photographs that one core trains in half an hour, and its yardstick.

    Args:
      name: of the data set.
      side: of its images, 32 or 64 pixels; the nets' finest grid is 16 × 16 squares of them.

    Returns:
      The config; `finish` sets the learning rates' course.
    """
    c = on_small_images(name)
    c.data.image_size, c.data.channels = side, 3
    c.model.generator.patch = side // 16
    c.model.latent_sizes = (4, 4, 4)
    c.model.generator.hidden = c.model.inference.hidden = (24,)
    c.eval.num_samples, c.eval.fid_features, c.eval.fid_reference = 1_000, 768, 1_000
    c.train.num_steps = 3_000
    c.eval.tasks = ("fid", "reconstruction")
    return c


def on_photographs(c, *, batch_size: int, spectral_weight: float) -> None:
    """Colour photographs: mixtures of logistics, flips, FID of as many samples as the papers'."""
    c.data.batch_size = batch_size
    c.data.flip = True
    c.train.remat = True
    c.model.likelihood.kind = "logistic_mixture"
    c.nvae.spectral_weight = spectral_weight
    c.eval.num_samples = 50_000
    c.eval.tasks = ("fid", "reconstruction")


def finish(c, variant: str):
    """`base.finish`; then learning rates that rise in 2 % of training and fall to its end."""
    c = base.finish(c, variant)
    for group in ("generator", "inference"):
        c.optim[group].rising_steps = max(c.train.num_steps // 50, 1)
        c.optim[group].cosine_decay_steps = c.train.num_steps
    return c
