"""Nets that couple attributes with latents, as pure functions of the group `coupling`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.densities.coupling import Logits
from ebm_jax.errors import ConfigError
from ebm_jax.nn.mlp import MLP
from ebm_jax.nn.timed import TimedMLP


class Coupling(NamedTuple):
    """F_a(z) of every attribute.

    Attributes:
      init: key → parameters.
      logits: (parameters, z) → (F_1(z), F_2(z), …); those that know the level of a diffusion take
        it as a third argument t [B].
    """

    init: Callable[[jax.Array], Any]
    logits: Callable[..., Logits]


def build(config, shapes: tuple[tuple[int, ...], ...], *, timed: bool = False) -> Coupling | None:
    """Perceptrons on the concatenation of an attribute's layers; None without `data.attributes`.

    Args:
      config: the whole experiment's; `coupling.layers` has the layers of each attribute, 1 = the
        bottom one, () for all; `coupling.hidden` are the perceptrons' widths.
      shapes: of one example's latents, bottom layer first.
      timed: whether they know the level of a diffusion.

    Raises:
      ConfigError: there are no such layers, or not as many entries as attributes.
    """
    attributes = tuple(config.data.get("attributes") or ())
    if not attributes:
        return None
    if "coupling" not in config:
        raise ConfigError(
            "data.attributes is set, but the config has no group `coupling`; see "
            "configs/stages.py, `control`."
        )
    cfg = config.coupling
    if timed and not cfg.hidden:
        raise ConfigError("coupling.hidden is (); with levels give one width or more.")
    if not all(isinstance(width, int) and width > 0 for width in cfg.hidden):
        raise ConfigError(
            f"coupling.hidden is {tuple(cfg.hidden)}; widths are positive whole numbers."
        )
    if cfg.labels not in ("data", "decoded"):
        raise ConfigError(f"coupling.labels is '{cfg.labels}'; use 'data' or 'decoded'.")
    if not cfg.weight >= 0:
        raise ConfigError(f"coupling.weight is {cfg.weight}; it must not be negative.")
    layers = _layers(cfg.layers, [name for name, _ in attributes], len(shapes))
    dtype = jnp.dtype(config.model.energy.compute_dtype or config.compute_dtype)
    net = TimedMLP if timed else MLP
    nets = [net(tuple(cfg.hidden), out=count, dtype=dtype) for _, count in attributes]
    level = (jnp.zeros(1, jnp.int32),) if timed else ()

    def joined(z, of):
        return jnp.concatenate([z[i].reshape(z[i].shape[0], -1) for i in of], axis=-1)

    def init(key):
        z = tuple(jnp.zeros((1, *shape)) for shape in shapes)
        keys = (jax.random.fold_in(key, 300 + a) for a in range(len(nets)))
        return {
            f"attribute_{a + 1}": net.init(net_key, joined(z, of), *level)["params"]
            for a, (net, of, net_key) in enumerate(zip(nets, layers, keys, strict=True))
        }

    def logits(params, z, *t):
        return tuple(
            net.apply({"params": params[f"attribute_{a + 1}"]}, joined(z, of), *t)
            for a, (net, of) in enumerate(zip(nets, layers, strict=True))
        )

    return Coupling(init, logits)


def _layers(given, names, num_layers) -> list[tuple[int, ...]]:
    """The layers of each attribute, 0 = bottom."""
    if len(given) not in (0, len(names)):
        raise ConfigError(
            f"coupling.layers has {len(given)} entries for the attributes {', '.join(names)}; "
            "give layers for each, or () for all layers everywhere."
        )
    if not all(isinstance(of, tuple) and all(isinstance(i, int) for i in of) for of in given):
        raise ConfigError(
            f"coupling.layers is {given}; give a tuple of whole numbers for each attribute."
        )
    everything = tuple(range(1, num_layers + 1))
    found = [tuple(layers) or everything for layers in given] or [everything] * len(names)
    for name, layers in zip(names, found, strict=True):
        if not set(layers) <= set(everything) or len(set(layers)) < len(layers):
            raise ConfigError(
                f"coupling.layers gives {name} the layers {layers}; use each of 1 (bottom) to "
                f"{num_layers} at most once."
            )
    return [tuple(i - 1 for i in layers) for layers in found]
