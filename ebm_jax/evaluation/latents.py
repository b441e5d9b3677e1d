"""Latents in their standard normal form u, z = T_β(u): drawn, inferred and decoded in chunks.

In u-space layers are independent under p_β, so one can be changed and those below it follow.
"""

from typing import Any

import jax
import numpy as np

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.context import Context, images_of, sample_chunks, task_key

Layers = tuple[np.ndarray, ...]  # [N, D_i] or maps [N, h, w, c] each, bottom layer first


def check_layers(context: Context, task: str) -> None:
    """Raises ConfigError unless the method's latents are layers with maps to images."""
    if context.method.maps is None:
        raise ConfigError(
            f"method '{context.method.name}' has no layers of latents; leave "
            f"'{task}' out of eval.tasks."
        )


def drawn(context: Context, name: str, count: int) -> Layers:
    """u of `count` samples of the EBM prior, or of p_β where there is no energy."""
    prior = "ebm" if context.method.has_energy else "gaussian"
    size = min(context.config.eval.batch_size, count)
    parts: list[Any] = []
    for chunk in sample_chunks(context, name, count, size, prior=prior):
        parts.append(jax.device_get(context.method.maps.to_u(context.state, chunk.latents)))
    u = _joined(parts)
    _check_finite(u, f"samples of the {prior} prior", "prior")
    return u


def inferred(
    context: Context, dataset: Any, name: str, count: int | None = None, *, strict: bool = True
) -> Layers:
    """z of a data set's first `count` images (all by default), from the method's posterior.

    Raises:
      ConfigError: `strict`, and a chain diverged.
    """
    key = task_key(context, name)
    size, total = context.config.eval.batch_size, dataset.num_examples
    total = total if count is None else min(count, total)
    parts = []
    for start in range(0, total, size):
        context.poll()
        images, index = images_of(context, dataset, np.arange(total), start, size)
        z = context.method.posterior(context.state, images, key, index)
        parts.append(tuple(np.asarray(layer)[: total - start] for layer in z))
    z = _joined(parts)
    if strict:
        _check_finite(z, "draws of the posterior", "posterior")
    return z


def decoded(context: Context, u: Layers) -> np.ndarray:
    """Images of u, [N, H, W, C] in `data.range`."""
    maps, state, size = context.method.maps, context.state, context.config.eval.batch_size
    images = []
    for start in range(0, len(u[0]), size):
        context.poll()
        part = tuple(layer[start : start + size] for layer in u)
        images.append(np.asarray(maps.decode(state, maps.to_z(state, part))))
    return np.concatenate(images)


def moved(base: Layers, layer: int, units: np.ndarray, places: np.ndarray) -> Layers:
    """One sample with one unit elsewhere.

    Args:
      base: u of the sample, [1, …] each.
      layer: whose units are moved.
      units: indices in the flattened layer, int [U].
      places: where to, [P].

    Returns:
      u [U · P, …] each; the n-th unit is at place p in row n · P + p.
    """
    rows = len(units) * len(places)
    u = [np.repeat(z, rows, axis=0) for z in base]
    changed = u[layer].reshape(rows, -1)
    changed[np.arange(rows), np.repeat(units, len(places))] = np.tile(places, len(units))
    u[layer] = changed.reshape(u[layer].shape)
    return tuple(u)


def finite(layers: Layers) -> np.ndarray:
    """Which examples' latents are, bool [N]."""
    return np.all([np.isfinite(layer).all(axis=1) for layer in flat(layers)], axis=0)


def flat(layers: Layers) -> Layers:
    """[N, D_i] each."""
    return tuple(layer.reshape(len(layer), -1) for layer in layers)


def _check_finite(layers: Layers, what: str, chain: str) -> None:
    bad = int(np.sum(~finite(layers)))
    if bad:
        raise ConfigError(
            f"{bad} of {len(layers[0])} {what} are not finite: the energies have run away or the "
            f"chain's steps are too long; look at task chains, lower sampler.{chain}.step_size or "
            "train with a larger optim.energy_l2."
        )


def _joined(parts) -> Layers:
    return tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))
