"""Energies of latents, as pure functions of the parameter group `energy`.

f is the negative energy: higher is more likely.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.errors import ConfigError
from ebm_jax.nn.map_energies import MapEnergy, TimedMapEnergy
from ebm_jax.nn.mlp import MLP
from ebm_jax.nn.timed import TimedMLP


class Energies(NamedTuple):
    """Pure functions of one set of energies.

    Attributes:
      init: key → parameters.
      terms: (parameters, z) → (f_1, f_2, …), each [B], whose sum is F(z); those that know the level
        of a diffusion take it as a third argument t [B].
      per_layer: whether f_i is of z_i alone, one for each layer.
    """

    init: Callable[[jax.Array], Any]
    terms: Callable[..., tuple[jax.Array, ...]]
    per_layer: bool


Shapes = tuple[tuple[int, ...], ...]  # of one example's latents, bottom layer first


def one_per_layer(config, shapes: Shapes) -> Energies:
    """f_i(z_i) for each layer: of vectors by a perceptron, of maps by a `MapEnergy` (CVPR 2023).

    Args:
      config: the whole experiment's config; `model.energy` is used.
      shapes: of the latents.

    Raises:
      ConfigError: widths that do not fit the latents.
    """
    m, dtype = config.model.energy, _dtype(config)

    def net(widths, shape):
        if len(shape) == 1:
            return MLP(widths, 1, zero_init_last=m.zero_init, dtype=dtype)
        return MapEnergy(m.channels, *_one_width(widths), m.zero_init, dtype)

    return _layers(net, m.hidden, shapes)


def one_per_layer_and_level(config, shapes: Shapes) -> Energies:
    """φ_i(z_i, t) for each layer (ICML 2024): of vectors a `TimedMLP`, of maps what `kind` says.

    `model.energy.kind` 'residual' is the paper's `TimedMapEnergy`, 'plain' a `MapEnergy`. Arguments
    as above.
    """
    m, dtype = config.model.energy, _dtype(config)
    of_maps = {"residual": TimedMapEnergy, "plain": MapEnergy}

    def net(widths, shape):
        if len(shape) == 1:
            return TimedMLP(widths, zero_init_last=m.zero_init, dtype=dtype)
        if m.kind not in of_maps:
            raise ConfigError(f"model.energy.kind is '{m.kind}'; use one of: {', '.join(of_maps)}.")
        return of_maps[m.kind](m.channels, *_one_width(widths), m.zero_init, dtype)

    return _layers(net, m.hidden, shapes, timed=True)


def one_for_all(config, shapes: Shapes) -> Energies:
    """f([z_1 … z_L]), one perceptron for the concatenation (ICCV 2023). Arguments as above."""
    m = config.model.energy
    net = MLP(tuple(m.hidden), 1, zero_init_last=m.zero_init, dtype=_dtype(config))
    size = sum(math.prod(shape) for shape in shapes)

    def init(key):
        return net.init(jax.random.fold_in(key, 200), jnp.zeros((1, size)))["params"]

    def terms(params, z):
        flat = [layer.reshape(layer.shape[0], -1) for layer in z]
        return (net.apply({"params": params}, jnp.concatenate(flat, axis=-1))[:, 0],)

    return Energies(init, terms, per_layer=len(shapes) == 1)


def _layers(build_net, hidden, shapes: Shapes, *, timed: bool = False) -> Energies:
    widths = _widths_per_layer(hidden, len(shapes))
    nets = [build_net(*both) for both in zip(widths, shapes, strict=True)]
    level = (jnp.zeros(1, jnp.int32),) if timed else ()

    def init(key):
        params = {}
        for i, (net, shape) in enumerate(zip(nets, shapes, strict=True)):
            inputs = jnp.zeros((1, *shape))
            net_key = jax.random.fold_in(key, 200 + i)
            params[f"layer_{i + 1}"] = net.init(net_key, inputs, *level)["params"]
        return params

    def terms(params, z, *t):
        return tuple(
            net.apply({"params": params[f"layer_{i + 1}"]}, z[i], *t)[:, 0]
            for i, net in enumerate(nets)
        )

    return Energies(init, terms, per_layer=True)


def _dtype(config):
    return jnp.dtype(config.model.energy.compute_dtype or config.compute_dtype)


def _one_width(widths: tuple[int, ...]) -> tuple[int]:
    if len(widths) != 1:
        raise ConfigError(
            f"model.energy.hidden is {widths} for a layer of maps; give one width, that of all "
            "linear layers after the convolutions of model.energy.channels."
        )
    return widths


def _widths_per_layer(hidden, num_layers: int) -> list[tuple[int, ...]]:
    """`hidden` is one tuple of widths for every layer, or a tuple of such tuples."""
    if not hidden or isinstance(hidden[0], int):
        return [tuple(hidden)] * num_layers
    if len(hidden) != num_layers:
        raise ConfigError(
            f"model.energy.hidden has widths for {len(hidden)} layers, but model.latent_sizes has "
            f"{num_layers}; give one tuple for all layers or one for each."
        )
    return [tuple(widths) for widths in hidden]
