"""Hat EBM's nets as pure functions, of `config.model`: generators, energies, an encoder.

Images are [B, H, W, C] in [-1, 1] and, from a generator, up to its `out_factor`. The nets see a
side padded to a power of two, as 28 pixels to 32.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.errors import ConfigError
from ebm_jax.models.hat_nets import (
    ResNetEnergy,
    ResNetGenerator,
    SphereDecoder,
    SphereEncoder,
)
from ebm_jax.models.padding import to_power_of_two


class Generator(NamedTuple):
    """G.

    Attributes:
      init: key → (parameters, normalisation statistics).
      generate: (parameters, statistics, z) → G(z).
      learn: (parameters, statistics, z) → (G(z) by the batch's own statistics, the statistics moved
        by them).
      latent_shape: of one z.
    """

    init: Callable[..., tuple[Any, Any]]
    generate: Callable[..., jax.Array]
    learn: Callable[..., tuple[jax.Array, Any]]
    latent_shape: tuple[int, ...]


class Net(NamedTuple):
    """init: key → parameters; apply: (parameters, images) → what the net makes of them."""

    init: Callable[..., Any]
    apply: Callable[..., jax.Array]


def check_range(config) -> None:
    """Raises ConfigError unless images are in the range of the generators' hyperbolic tangent."""
    if tuple(config.data.range) != (-1.0, 1.0):
        raise ConfigError(
            f"data.range is {tuple(config.data.range)}; Hat EBM's generators need (-1.0, 1.0)."
        )


def build_generator(config, axis_name: str | None = None) -> Generator:
    """G of `model.generator` and `model.latent_sizes`.

    Args:
      config: the whole experiment's config.
      axis_name: mapped axis over which `learn` takes a batch's statistics, or None.

    Raises:
      ConfigError: an unknown kind, or sizes that do not fit together.
    """
    side, channels = config.data.image_size, config.data.channels
    padding = to_power_of_two(side)
    net, latent_shape = _generator(config, padding.padded, channels, _dtype(config, "generator"))
    learning = net.clone(train=True, axis_name=axis_name)

    def init(key):
        variables = net.init(key, jnp.zeros((1, *latent_shape)))
        return variables["params"], variables["batch_stats"]

    def generate(params, statistics, z):
        return padding.cut(net.apply({"params": params, "batch_stats": statistics}, z))

    def learn(params, statistics, z):
        variables = {"params": params, "batch_stats": statistics}
        x, moved = learning.apply(variables, z, mutable="batch_stats")
        return padding.cut(x), moved["batch_stats"]

    return Generator(init, generate, learn, latent_shape)


def build_critic(config, name: str, *, pool: str, bias: bool = False) -> Net:
    """Images → [B] by the net of `model.<name>`: Hat EBM's energy, SN-GAN's discriminator.

    Args:
      config: the whole experiment's config.
      name: of the part, e.g. "energy".
      pool, bias: of the last map and layer, see `ResNetEnergy`.

    Raises:
      ConfigError: more halvings than blocks or than the image has.
    """
    cfg = config.model[name]
    padded = to_power_of_two(config.data.image_size).padded
    widths = tuple(cfg.hidden)
    if not widths:
        raise ConfigError(f"model.{name}.hidden is (); give one width for each residual block.")
    if not 0 <= cfg.halvings <= min(len(widths), padded.bit_length() - 1):
        raise ConfigError(
            f"model.{name}.halvings is {cfg.halvings}; use at most one per width of "
            f"model.{name}.hidden, {len(widths)}, and no more than images of {padded} pixels allow."
        )
    return _of_images(config, ResNetEnergy(widths, cfg.halvings, pool, bias, _dtype(config, name)))


def build_encoder(config) -> Net:
    """Images → latents on the sphere, by the net of `model.inference`.

    Raises:
      ConfigError: not one width.
    """
    hidden = tuple(config.model.inference.hidden)
    if len(hidden) != 1:
        raise ConfigError(f"model.inference.hidden is {hidden}; the encoder has one width.")
    return _of_images(config, SphereEncoder(hidden[0], dtype=_dtype(config, "inference")))


def _of_images(config, net) -> Net:
    side, channels = config.data.image_size, config.data.channels
    padding = to_power_of_two(side)

    def init(key):
        return net.init(key, padding.pad(jnp.zeros((1, side, side, channels))))["params"]

    def apply(params, x):
        return net.apply({"params": params}, padding.pad(x))

    return Net(init, apply)


def _dtype(config, part: str) -> jnp.dtype:
    return jnp.dtype(config.model[part].compute_dtype or config.compute_dtype)


def _generator(config, side, channels, dtype):
    """(the net, shape of one z)."""
    cfg, sizes = config.model.generator, tuple(config.model.latent_sizes)
    hidden = tuple(cfg.hidden)
    if len(sizes) != 1:
        raise ConfigError(f"model.latent_sizes is {sizes}, but Hat EBM has one layer of latents.")
    if not cfg.out_factor > 0:
        raise ConfigError(f"model.generator.out_factor is {cfg.out_factor}; it must be positive.")
    if cfg.kind == "resnet":
        if len(hidden) < 2 or side < 2 ** (len(hidden) - 1):
            raise ConfigError(
                f"model.generator.hidden has {len(hidden)} widths; give one of the first map and "
                f"one per doubling, and no more doublings than images of {side} pixels allow."
            )
        net = ResNetGenerator(hidden[0], hidden[1:], side, channels, cfg.out_factor, dtype=dtype)
        return net, sizes
    if cfg.kind == "sphere":
        if sizes[0] != (side // 2) ** 2 or len(hidden) != 1:
            raise ConfigError(
                f"model.latent_sizes is {sizes} and model.generator.hidden is {hidden}; a sphere's "
                f"decoder of {side} pixels needs ({(side // 2) ** 2},) latents and one width."
            )
        return SphereDecoder(hidden[0], channels, out_factor=cfg.out_factor, dtype=dtype), (
            side // 2,
            side // 2,
            1,
        )
    raise ConfigError(f"model.generator.kind is '{cfg.kind}'; Hat EBM has 'resnet' and 'sphere'.")
