"""Markov chains over any pytree of arrays, as one `lax.scan`.

A kernel is a pair of pure functions, `init` and `step`. Samplers know log densities, never models.
Every leaf of a position has the batch axis first; each example of the batch is a chain of its own
with a key of its own, so chain i does not depend on the batch it runs in.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.samplers.noise import fold_in

Position = Any  # pytree of [B, ...]
LogProb = Callable[[Position], jax.Array]  # position → [B], up to a constant


class Info(NamedTuple):
    """What one step did, per chain.

    Attributes:
      energy: [B] −log density where the step's gradient was taken (for MALA: after the step).
      grad_norm: [B] L2 norm of ∇ log density there, over all leaves.
      displacement: [B] L2 length of the step's move, over all leaves.
      finite: [B] bool, the new position has no NaN or infinity.
      accepted: [B] 1.0 where a proposal was accepted; always 1.0 without an accept step.
    """

    energy: jax.Array
    grad_norm: jax.Array
    displacement: jax.Array
    finite: jax.Array
    accepted: jax.Array


class Kernel(NamedTuple):
    """`init`: position → state; `step`: (keys [B], state) → (state, Info)."""

    init: Callable[[Position], Any]
    step: Callable[[jax.Array, Any], tuple[Any, Info]]


class Chain(NamedTuple):
    """A finished run.

    Attributes:
      position: the final position, leaves [B, ...].
      info: of the last step, except that `finite` covers all steps and `accepted` is their mean.
      trajectory: None, or the kept positions, leaves [K // keep_every, B, ...].
      profile: None, or the Info of the kept steps, leaves [K // keep_every, B].
    """

    position: Position
    info: Info
    trajectory: Position | None
    profile: Info | None


def run_chain(
    kernel: Kernel,
    keys: jax.Array,
    position: Position,
    num_steps: int,
    *,
    keep_every: int = 0,
) -> Chain:
    """Runs `num_steps` steps. No gradient flows through; memory does not grow with `num_steps`.

    Args:
      kernel: e.g. `langevin(...)` or `mala(...)`.
      keys: [B] typed keys, one per chain; step k uses fold_in(key, k).
      position: start, leaves [B, ...].
      num_steps: K ≥ 0, static.
      keep_every: keep every so many-th position and its Info (0 = none); must divide `num_steps`.

    Returns:
      Chain.

    Raises:
      ValueError: `keep_every` does not divide `num_steps`.
    """
    if keep_every and num_steps % keep_every:
        raise ValueError(f"keep_every={keep_every} does not divide num_steps={num_steps}.")
    position = jax.lax.stop_gradient(position)  # nothing in the chain is differentiated
    num_chains = jax.tree.leaves(position)[0].shape[0]

    def body(carry, k):
        state, info = carry
        state, new = kernel.step(fold_in(keys, k), state)
        finite = jnp.logical_and(info.finite, new.finite)
        accepted = info.accepted + new.accepted / num_steps
        return (state, new._replace(finite=finite, accepted=accepted)), new

    zero = jnp.zeros(num_chains, jax.tree.leaves(position)[0].dtype)
    start = Info(zero, zero, zero, jnp.ones(num_chains, bool), zero)
    carry = (kernel.init(position), start)
    trajectory = profile = None
    if keep_every:

        def block(carry, first):
            def inner(j, both):
                return body(both[0], first + j)

            carry, last = jax.lax.fori_loop(1, keep_every, inner, body(carry, first))
            return carry, (carry[0].position, last)

        starts = jnp.arange(0, num_steps, keep_every)
        carry, (trajectory, profile) = jax.lax.scan(block, carry, starts)
    else:
        carry, _ = jax.lax.scan(
            lambda c, k: (body(c, k)[0], None), carry, jnp.arange(num_steps), length=num_steps
        )
    state, info = carry
    stop = jax.lax.stop_gradient
    return Chain(stop(state.position), stop(info), stop(trajectory), stop(profile))


def value_and_grad(log_prob: LogProb) -> Callable[[Position], tuple[jax.Array, Position]]:
    """position → (log density [B], its gradient per example), in one pass."""

    def total(position):
        values = log_prob(position)
        return jnp.sum(values), values

    def call(position):
        (_, values), grad = jax.value_and_grad(total, has_aux=True)(position)
        return values, grad

    return call


def squared_norm(tree: Position) -> jax.Array:
    """Σ over leaves and event axes of x²: [B]."""
    return sum(jnp.sum(x.reshape(x.shape[0], -1) ** 2, axis=1) for x in jax.tree.leaves(tree))


def all_finite(tree: Position) -> jax.Array:
    """[B] bool, whether all of an example's entries are finite."""
    checks = [
        jnp.all(jnp.isfinite(x.reshape(x.shape[0], -1)), axis=1) for x in jax.tree.leaves(tree)
    ]
    return jnp.all(jnp.stack(checks), axis=0)
