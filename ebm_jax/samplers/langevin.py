"""Unadjusted Langevin dynamics, one kernel for the conventions of all four papers."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.samplers.chain import (
    Info,
    Kernel,
    LogProb,
    Position,
    all_finite,
    squared_norm,
    value_and_grad,
)
from ebm_jax.samplers.noise import normal_like

StepSize = float | jax.Array | Position


class LangevinState(NamedTuple):
    """`position`: leaves [B, ...]."""

    position: Position


def coefficients(
    step_size: StepSize, position: Position, convention: str
) -> tuple[Position, Position]:
    """The factors of gradient and noise in one update, shaped to broadcast against each leaf.

        x ← x + drift · ∇log p(x) + noise · ξ,   ξ ~ N(0, I)

        convention    step_size is             drift       noise
        "std"         s, a standard deviation  s² / 2      s        (CVPR 2023, ICCV 2023, Hat EBM)
        "variance"    η, a variance            η / 2       √η       (two-stage, ICML 2024)

    Args:
      step_size: a scalar for all, a [B] array (a value per chain), or a pytree like `position` of
        such values (a value per leaf).
      position: leaves [B, ...].
      convention: "std" or "variance".

    Returns:
      (drift, noise), pytrees like `position`.

    Raises:
      ValueError: unknown convention.
    """
    if convention not in ("std", "variance"):
        raise ValueError(f"convention is '{convention}'; use 'std' or 'variance'.")
    structure = jax.tree.structure(position)
    per_leaf = step_size
    if jax.tree.structure(step_size) != structure:
        per_leaf = jax.tree.map(lambda _: step_size, position)

    def shaped(value, leaf):
        value = jnp.asarray(value, leaf.dtype)
        return value.reshape(value.shape + (1,) * (leaf.ndim - 1)) if value.ndim else value

    step = jax.tree.map(shaped, per_leaf, position)
    if convention == "std":
        return jax.tree.map(lambda s: s**2 / 2, step), step
    return jax.tree.map(lambda s: s / 2, step), jax.tree.map(jnp.sqrt, step)


def clip_per_example(tree: Position, limit: float) -> Position:
    """Scales each example down so that its L2 norm over all leaves is at most `limit` (0 = off)."""
    if not limit:
        return tree
    norm = jnp.sqrt(squared_norm(tree))
    factor = jnp.minimum(1.0, limit / jnp.maximum(norm, 1e-30))
    return jax.tree.map(lambda x: x * factor.reshape(-1, *[1] * (x.ndim - 1)), tree)


def langevin(
    log_prob: LogProb,
    step_size: StepSize,
    *,
    convention: str = "std",
    temperature: float = 1.0,
    noise_scale: float = 1.0,
    clip: float = 0.0,
) -> Kernel:
    """Langevin dynamics on `log_prob`.

        x ← x + clip[drift · ∇log p(x) / temperature] + noise_scale · noise · ξ

    with drift and noise of `coefficients`. For a unit Gaussian and convention "std" the stationary
    variance is 1/(1 − s²/4); it diverges for s ≥ 2.

    Args:
      log_prob: position → [B]; for an energy H pass −H.
      step_size: see `coefficients`.
      convention: "std" or "variance".
      temperature: the chain targets log p / temperature (Hat EBM's T divides H alone, so it is
        part of its density: densities/hat.py).
      noise_scale: factor on the noise (1 = Langevin, 0 = gradient ascent).
      clip: largest per-example L2 norm of the scaled gradient, 0 = off (Hat EBM: 2.5).

    Returns:
      Kernel. `Info.energy` and `Info.grad_norm` belong to the position before the move.
    """
    gradient = value_and_grad(log_prob)

    def step(keys, state):
        position = state.position
        value, grad = gradient(position)
        drift, noise = coefficients(step_size, position, convention)
        pull = jax.tree.map(lambda d, g: d * g / temperature, drift, grad)
        pull = clip_per_example(pull, clip)
        xi = normal_like(keys, position)
        move = jax.tree.map(lambda p, n, e: p + noise_scale * n * e, pull, noise, xi)
        moved = jax.tree.map(jnp.add, position, move)
        info = Info(
            energy=-value,
            grad_norm=jnp.sqrt(squared_norm(grad)),
            displacement=jnp.sqrt(squared_norm(move)),
            finite=all_finite(moved),
            accepted=jnp.ones_like(value),
        )
        return LangevinState(moved), info

    return Kernel(init=LangevinState, step=step)


class AnnealedState(NamedTuple):
    """`position`: leaves [B, ...]; `done`: the steps behind it, a scalar."""

    position: Position
    done: jax.Array


def annealed_langevin(log_prob: LogProb, step_sizes: jax.Array, *, clip: float = 0.0) -> Kernel:
    """Langevin dynamics whose step k has a size of its own.

    As annealed Langevin dynamics (Song and Ermon, NeurIPS 2019), but on one density.

    Args:
      log_prob: position → [B].
      step_sizes: [K], standard deviations of the noise; steps after K have the last one.
      clip: as in `langevin`.

    Returns:
      Kernel; steps of equal size are those of `langevin`.
    """
    sizes = jnp.asarray(step_sizes)

    def step(keys, state):
        size = sizes[jnp.minimum(state.done, len(sizes) - 1)]
        kernel = langevin(log_prob, size, clip=clip)
        moved, info = kernel.step(keys, LangevinState(state.position))
        return AnnealedState(moved.position, state.done + 1), info

    return Kernel(init=lambda x: AnnealedState(x, jnp.zeros((), jnp.int32)), step=step)
