"""Annealed importance sampling along any path of log densities, in both directions.

A path leads from β = 0, which can be sampled from, to β = 1. The forward run starts from samples of
the base and gives weights with E[w] = Z₁/Z₀ (Neal 2001, eq. 10 and 11); the reverse run starts from
samples of the end and gives weights with E[w] = Z₀/Z₁ (Grosse, Ghahramani and Adams 2015). By
Jensen's inequality the log of a mean of weights is, in expectation, a lower bound of log Z₁/Z₀ in
the forward run, and its negative an upper bound in the reverse run.

All kernels must leave their density invariant, and the reverse run needs their reversals: MALA and
HMC are their own. Memory does not grow with the number of temperatures.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.samplers.chain import Kernel, LogProb, Position
from ebm_jax.samplers.noise import fold_in

MakeKernel = Callable[[LogProb, jax.Array], Kernel]  # (log density, step size) → kernel


class Path(NamedTuple):
    """Densities f_β between a base (β = 0) and a target (β = 1).

    Attributes:
      log_prob: (beta, position) → log f_β [B], un-normalised.
      increment: (beta, beta_next, position) → log f_{beta_next} − log f_β [B].
    """

    log_prob: Callable[[jax.Array, Position], jax.Array]
    increment: Callable[[jax.Array, jax.Array, Position], jax.Array]


class AisRun(NamedTuple):
    """Finished chains.

    Attributes:
      log_weights: [B].
      position: where they ended, leaves [B, ...].
      accepted: [B] mean acceptance over the temperatures.
    """

    log_weights: jax.Array
    position: Position
    accepted: jax.Array


def path_of(log_prob: Callable[[jax.Array, Position], jax.Array]) -> Path:
    """The path of any family log_prob(beta, position) → [B]."""
    return Path(log_prob, lambda a, b, position: log_prob(b, position) - log_prob(a, position))


def geometric_path(base: LogProb, tilt: LogProb) -> Path:
    """log f_β = base + β · tilt; its increments have no cancellation between large numbers."""
    return Path(
        lambda beta, position: base(position) + beta * tilt(position),
        lambda a, b, position: (b - a) * tilt(position),
    )


def temperatures(num: int, kind: str = "sigmoid", sharpness: float = 4.0) -> jax.Array:
    """The schedule 0 = β_0 < … < β_num = 1.

    Args:
      num: T ≥ 1, the number of steps between temperatures; T = 1 is plain importance sampling.
      kind: 'sigmoid', the rescaled σ(δ(2t/T − 1)) of Wu et al. (2017), dense at both ends, or
        'linear'.
      sharpness: δ.

    Returns:
      [num + 1] float32.

    Raises:
      ValueError: unknown kind, or num < 1.
    """
    if num < 1 or kind not in ("sigmoid", "linear"):
        raise ValueError(
            f"num is {num} and kind is '{kind}'; use at least 1 step and 'sigmoid' or 'linear'."
        )
    t = jnp.linspace(0.0, 1.0, num + 1)
    if kind == "linear":
        return t
    s = jax.nn.sigmoid(sharpness * (2 * t - 1))
    return (s - s[0]) / (s[-1] - s[0])


def forward(
    path: Path,
    make_kernel: MakeKernel,
    betas: jax.Array,
    step_sizes: jax.Array,
    keys: jax.Array,
    position: Position,
) -> AisRun:
    """From samples of the base to the target: E[exp(log_weights)] = Z₁/Z₀.

    At every β_t, t = 1 … T, the weight grows by the increment at the position before the kernel of
    β_t moves it.

    Args:
      path: the densities.
      make_kernel: e.g. `lambda log_prob, step: hmc(log_prob, step)`.
      betas: [T + 1] rising from 0 to 1.
      step_sizes: [T], of β_1 … β_T, chosen without looking at this run (see `tune`).
      keys: [B] typed keys, one per chain.
      position: exact samples of f_0, leaves [B, ...].

    Returns:
      AisRun; weighted by exp(log_weights) the positions represent f_1.
    """

    def body(carry, inputs):
        position, log_weights, accepted = carry
        number, before, beta, step_size = inputs
        log_weights += path.increment(before, beta, position)
        position, info = _move(path, make_kernel, beta, step_size, fold_in(keys, number), position)
        return (position, log_weights, accepted + info.accepted), None

    steps = betas.shape[0] - 1
    inputs = (jnp.arange(steps), betas[:-1], betas[1:], step_sizes)
    return _finish(jax.lax.scan(body, _start(path, position), inputs)[0], steps)


def reverse(
    path: Path,
    make_kernel: MakeKernel,
    betas: jax.Array,
    step_sizes: jax.Array,
    keys: jax.Array,
    position: Position,
) -> AisRun:
    """From samples of the target back to the base: E[exp(log_weights)] = Z₀/Z₁.

    The time reversal of `forward`: at every β_t, t = T … 1, the kernel of β_t moves and then the
    weight grows by log f_{t−1} − log f_t. Arguments as `forward`'s, in the same order (rising β);
    `position` are exact samples of f_1.
    """

    def body(carry, inputs):
        position, log_weights, accepted = carry
        number, below, beta, step_size = inputs
        position, info = _move(path, make_kernel, beta, step_size, fold_in(keys, number), position)
        log_weights += path.increment(beta, below, position)
        return (position, log_weights, accepted + info.accepted), None

    steps = betas.shape[0] - 1
    inputs = (jnp.arange(steps), betas[:-1], betas[1:], step_sizes)
    carry, _ = jax.lax.scan(body, _start(path, position), inputs, reverse=True)
    return _finish(carry, steps)


def tune(
    path: Path,
    make_kernel: MakeKernel,
    betas: jax.Array,
    keys: jax.Array,
    position: Position,
    *,
    start: float = 0.5,
    target: float = 0.65,
    rate: float = 0.3,
    moves: int = 3,
) -> jax.Array:
    """Step sizes [T] of β_1 … β_T with about the wanted acceptance, from a run of its own.

    All chains share a step size; after each move its logarithm moves by rate · (acceptance −
    target). The run adapts to its own chains, so its weights would be worthless: it gives none. A
    later run with these steps and other keys is valid.

    Args:
      path, make_kernel, betas: as for `forward`.
      keys: [B], other ones than the later run's.
      position: samples of the base, leaves [B, ...].
      start: first step size.
      target: acceptance (0.65 is HMC's optimum in many dimensions; Neal 2011, §5.4.4).
      rate: of the adaptation.
      moves: per temperature.

    Returns:
      [T].
    """

    def body(carry, inputs):
        number, beta = inputs

        def once(carry, move):
            position, log_step = carry
            drawn = fold_in(keys, number * moves + move)
            position, info = _move(path, make_kernel, beta, jnp.exp(log_step), drawn, position)
            log_step += rate * (jnp.mean(info.accepted) - target)
            return (position, log_step), log_step

        carry, log_steps = jax.lax.scan(once, carry, jnp.arange(moves))
        return carry, jnp.exp(jnp.mean(log_steps))

    dtype = jax.tree.leaves(position)[0].dtype
    first = (jax.lax.stop_gradient(position), jnp.log(jnp.asarray(start, dtype)))
    return jax.lax.scan(body, first, (jnp.arange(betas.shape[0] - 1), betas[1:]))[1]


def _move(path, make_kernel, beta, step_size, keys, position):
    kernel = make_kernel(lambda x: path.log_prob(beta, x), step_size)
    state, info = kernel.step(keys, kernel.init(position))
    return state.position, info


def _start(path, position):
    shape = jax.eval_shape(path.log_prob, 0.0, position)
    zero = jnp.zeros(shape.shape, shape.dtype)
    return jax.lax.stop_gradient(position), zero, zero


def _finish(carry, steps):
    position, log_weights, accepted = carry
    return AisRun(log_weights, position, accepted / steps)
