"""Langevin chains back through the levels of a diffusion in u-space (ICML 2024)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax.densities.diffusion import Schedule, recovery_log_prob
from ebm_jax.densities.hierarchical import Latents
from ebm_jax.samplers import Chain, Kernel, langevin, run_chain
from ebm_jax.samplers.noise import fold_in

Tilt = Callable[[Latents, jax.Array], jax.Array]


class ReverseChain(NamedTuple):
    """Settings of the chains.

    Attributes:
      levels: the diffusion's schedule, T steps.
      step_sizes: η_t [T], variances of the Langevin steps at each level.
      num_steps: K, of each level; with `shares` their mean.
      clip: largest norm of a scaled gradient, 0 = off.
      shares: of the T · K steps of a sample, what each level has, level 0 first, in any unit; ()
        for K each.
    """

    levels: Schedule
    step_sizes: jax.Array
    num_steps: int
    clip: float = 0.0
    shares: tuple[float, ...] = ()


def one_level(
    chain: ReverseChain,
    tilt: Tilt,
    keys: jax.Array,
    noisier: Latents,
    t: jax.Array,
    keep_every: int = 0,
) -> Chain:
    """ũ_{t+1} → ũ_t: K steps on p(ũ_t|ũ_{t+1}), started at ũ_{t+1}.

    Started at a draw of N(α_{t+1} ũ_{t+1}, σ²_{t+1} I), which is p(ũ_t|ũ_{t+1}) where F = 0, chains
    without energy keep N(0, I) at any length; but they learn worse (`fd_classifier`
    1.2 in place of 0.9 on digits).

    Args:
      chain: the settings.
      tilt: (ũ_t, t) → F(T_β(ũ_t), t) [B].
      keys: [B], one per chain.
      noisier: ũ_{t+1}, leaves [B, ...].
      t: level of each chain, [B] of 0 … T − 1.
      keep_every: see `run_chain`.
    """
    kernel = _kernel(chain, tilt, noisier, t)
    return run_chain(kernel, keys, noisier, chain.num_steps, keep_every=keep_every)


def all_levels(
    chain: ReverseChain, tilt: Tilt, keys: jax.Array, start: Latents, keep_every: int = 0
) -> Chain:
    """ũ_T → ũ_0, level by level, T · K steps in all.

    Args:
      chain, tilt, keys: as in `one_level`.
      start: ũ_T, a draw of N(0, I), leaves [B, ...].
      keep_every: keep every so many-th position of all; must divide T · K.

    Returns:
      Chain, as `run_chain` gives it; position is ũ_0.
    """
    lengths = steps_of_levels(chain)
    order = np.repeat(np.arange(len(lengths)), lengths)[::-1]
    within = np.concatenate([np.arange(count) for count in reversed(lengths)])
    level_of, step_of = jnp.asarray(order), jnp.asarray(within)

    def step(_, state):
        level, arrived = level_of[state.done], step_of[state.done] == 0
        t = jnp.full(len(keys), level)
        noisier = jax.tree.map(
            lambda u, before: jnp.where(arrived, u, before), state.position, state.noisier
        )
        kernel = _kernel(chain, tilt, noisier, t)
        own = fold_in(fold_in(keys, level), step_of[state.done])  # as `one_level` with the first
        moved, info = kernel.step(own, kernel.init(state.position))
        return _OnTheWay(moved.position, noisier, state.done + 1), info

    descent = Kernel(init=lambda u: _OnTheWay(u, u, jnp.zeros((), jnp.int32)), step=step)
    return run_chain(descent, keys, start, sum(lengths), keep_every=keep_every)


def steps_of_levels(chain: ReverseChain) -> list[int]:
    """How many of a sample's T · K steps each level has, level 0 first: by `shares`, 1 at least."""
    total = chain.levels.num_steps * chain.num_steps
    shares = np.asarray(chain.shares or [1] * chain.levels.num_steps, np.float64)
    ends = np.rint(total * np.cumsum(shares) / shares.sum()).astype(int)
    lengths = np.diff(ends, prepend=0)
    while lengths.min() < 1:  # a level that is left out would be another density
        lengths[lengths.argmin()] += 1
        lengths[lengths.argmax()] -= 1
    return lengths.tolist()


class _OnTheWay(NamedTuple):
    """ũ_t as it moves, the ũ_{t+1} that its level began with, and the steps behind it."""

    position: Latents
    noisier: Latents
    done: jax.Array


def _kernel(chain, tilt, noisier, t) -> Kernel:
    """Langevin steps on p(ũ_t|ũ_{t+1}), t [B]."""
    log_prob = recovery_log_prob(lambda u: tilt(u, t), chain.levels, t, noisier)
    return langevin(log_prob, chain.step_sizes[t], convention="variance", clip=chain.clip)
