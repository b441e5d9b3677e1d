"""Hat EBM's nets as pure functions: the energy H and the generator G of `config.model`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.errors import ConfigError
from ebm_jax.models.hat_nets import ResNetEnergy, ResNetGenerator, SphereDecoder


class HatModel(NamedTuple):
    """Pure functions; images are [B, H, W, C] in [-1, 1] and, from G, up to its `out_factor`.

    Attributes:
      init: key → ({"energy", "generator"}: parameters; G's normalisation statistics).
      energy: (parameters of the energy, x) → H(x) [B].
      generate: (parameters of the generator, statistics, z) → G(z).
      latent_shape: of one z.
    """

    init: Callable[..., tuple[Any, Any]]
    energy: Callable[..., jax.Array]
    generate: Callable[..., jax.Array]
    latent_shape: tuple[int, ...]


def build(config) -> HatModel:
    """The nets for the images of `config.data`, whose side is padded to a power of two.

    Args:
      config: the whole experiment's config.

    Raises:
      ConfigError: an unknown kind, or sizes that do not fit together.
    """
    side, channels = config.data.image_size, config.data.channels
    padded = 1 << (side - 1).bit_length()
    before = (padded - side) // 2
    after = padded - side - before

    def dtype_of(part):
        return jnp.dtype(part.compute_dtype or config.compute_dtype)

    generator, latent_shape = _generator(config.model, padded, channels, dtype_of)
    energy_config = config.model.energy
    widths, halvings = tuple(energy_config.hidden), energy_config.halvings
    if not 0 <= halvings <= min(len(widths), padded.bit_length() - 1):
        raise ConfigError(
            f"model.energy.halvings is {halvings}; use at most one per width of "
            f"model.energy.hidden, {len(widths)}, and no more than images of {padded} pixels allow."
        )
    energy_net = ResNetEnergy(widths, halvings, dtype=dtype_of(energy_config))

    def init(key):
        image = jnp.zeros((1, padded, padded, channels))
        energy = energy_net.init(jax.random.fold_in(key, 0), image)["params"]
        z = jnp.zeros((1, *latent_shape))
        variables = generator.init(jax.random.fold_in(key, 1), z)
        params = {"energy": energy, "generator": variables["params"]}
        return params, variables["batch_stats"]

    def energy(params, x):
        around = ((0, 0), (before, after), (before, after), (0, 0))
        return energy_net.apply({"params": params}, jnp.pad(x, around, constant_values=-1.0))

    def generate(params, statistics, z):
        x = generator.apply({"params": params, "batch_stats": statistics}, z)
        return x[:, before : before + side, before : before + side]

    return HatModel(init, energy, generate, latent_shape)


def _generator(model, side, channels, dtype_of):
    """(the net, shape of one z)."""
    cfg, sizes = model.generator, tuple(model.latent_sizes)
    hidden, dtype = tuple(cfg.hidden), dtype_of(cfg)
    if len(sizes) != 1:
        raise ConfigError(f"model.latent_sizes is {sizes}, but Hat EBM has one layer of latents.")
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
