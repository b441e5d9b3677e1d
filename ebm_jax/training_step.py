"""One guarded training step around any method's update: skip, average, account.

A non-finite or exploding update leaves parameters, optimisers and extra state as they were; only
the counters move. What is "exploding" is read from the metrics' names, so this knows no method:
`grad_norm/*` against `stability.max_grad_norm`, `energy/*` against `stability.max_energy`.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from clu.metrics import Average

from ebm_jax import randomness
from ebm_jax.compilation import jit_once
from ebm_jax.errors import ConfigError
from ebm_jax.methods import Method, TrainState


class LoopState(NamedTuple):
    """All of a run's state: what a checkpoint holds.

    Attributes:
      train: the method's TrainState.
      metrics: {name: Average} of the good updates since the last log line.
    """

    train: TrainState
    metrics: dict[str, Average]


def empty_metrics(names) -> dict[str, Average]:
    """Accumulators at zero."""
    return {name: Average(total=jnp.zeros(()), count=jnp.zeros(())) for name in sorted(names)}


def init_loop_state(
    method: Method, batch: dict[str, jax.Array], key: jax.Array, first: Any = None
) -> LoopState:
    """The state before the first step.

    Args:
      method: its `update` must not need a device axis (built with axis_name=None).
      batch: any batch; only its shapes matter.
      key: the run's base key.
      first: InferenceState of the first stage, for a method that builds on one.

    Raises:
      ConfigError: the state would not fit into this machine's memory.
    """
    arguments = (randomness.stream(key, "init"), batch, *([] if first is None else [first]))
    _, metrics = _shapes(method, batch, key, *arguments[2:])
    return LoopState(train=jit_once(method.init)(*arguments), metrics=empty_metrics(metrics))


def empty_loop_state(method: Method, batch: dict[str, jax.Array], key: jax.Array) -> LoopState:
    """Zeros in the shapes of `init_loop_state`, of which nothing is computed: NumPy arrays.

    Args, Raises: as there.
    """
    shapes, metrics = _shapes(method, batch, key)
    train = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    return LoopState(train=train, metrics=jax.device_get(empty_metrics(metrics)))


def _shapes(method, batch, key, *first):
    """Of (the state that `init` makes, the metrics of an update)."""
    train = jax.eval_shape(method.init, randomness.stream(key, "init"), batch, *first)
    _check_memory(train)
    return train, jax.eval_shape(method.update, train, batch, key)[1]


def _check_memory(shapes: TrainState) -> None:
    needed = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(shapes))
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > present:
        raise ConfigError(
            f"parameters, averages, optimisers and banks would take {needed / 2**30:.1f} GiB, but "
            f"this machine has {present / 2**30:.1f} GiB of memory; use smaller nets, latents or "
            "banks."
        )


def build_step(method: Method, stability: Any, ema_decay: float) -> Callable[..., LoopState]:
    """(LoopState, batch, base key) → LoopState.

    The step's key is a function of (seed, number of roll-backs, step): after a roll-back the same
    steps are tried with other randomness.

    Args:
      method: built for the mapped axis the step runs under.
      stability: config group with `max_grad_norm` and `max_energy`.
      ema_decay: of the parameters' moving average; early steps use a shorter memory.
    """

    def limit(name):
        """The largest magnitude a metric may have."""
        if name.startswith("grad_norm/"):
            return stability.max_grad_norm
        return stability.max_energy if name.startswith("energy/") else jnp.inf

    def is_good(metrics, params):
        values = jnp.stack([*metrics.values(), optax.tree.norm(params)])
        limits = jnp.array([*map(limit, metrics), jnp.inf])
        good = jnp.all(jnp.isfinite(values) & (jnp.abs(values) <= limits))
        # Else XLA computes all of this again in the update of every parameter.
        return jax.lax.optimization_barrier(good)

    def step(state: LoopState, batch, key) -> LoopState:
        old = state.train
        key = jax.random.fold_in(randomness.stream(key, "update"), old.rollbacks)
        new, metrics = method.update(old, batch, jax.random.fold_in(key, old.step))
        good = is_good(metrics, new.params)
        decay = jnp.minimum(ema_decay, (1.0 + old.step) / (10.0 + old.step))
        new = new._replace(
            # In this form what does not learn keeps its bits.
            ema=jax.tree.map(lambda e, p: e + (1 - decay) * (p - e), old.ema, new.params)
        )
        kept = jax.tree.map(lambda n, o: jnp.where(good, n, o), new, old)
        kept = kept._replace(
            step=old.step + 1,
            skipped=old.skipped + ~good,
            skipped_in_row=jnp.where(good, 0, old.skipped_in_row + 1),
        )
        weight = good.astype(jnp.float32)
        accumulated = {
            name: average.merge(
                Average(total=jnp.where(good, metrics[name], 0.0) * weight, count=weight)
            )
            for name, average in state.metrics.items()
        }
        return LoopState(train=kept, metrics=accumulated)

    return step
