"""Devices: the only file that knows how many there are.

Training state is replicated, one copy per local device stacked on a leading axis; batches are
split on that axis. Everything else sees arrays without it.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ebm_jax.errors import ConfigError

AXIS = "devices"


def _sharding() -> NamedSharding:
    return NamedSharding(Mesh(np.array(jax.local_devices()), (AXIS,)), PartitionSpec(AXIS))


def check_batch_size(batch_size: int) -> None:
    """Raises ConfigError unless the global batch splits evenly over all devices."""
    if batch_size <= 0 or batch_size % jax.device_count():
        raise ConfigError(
            f"data.batch_size is {batch_size}, which does not split evenly over "
            f"{jax.device_count()} devices; use a positive multiple of {jax.device_count()}."
        )


def replicate(tree: Any) -> Any:
    """One copy per local device: leaves [...] → [devices, ...]."""
    count = jax.local_device_count()

    def stack(leaf):
        if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            return jax.random.wrap_key_data(stack(jax.random.key_data(leaf)))
        leaf = np.asarray(leaf)
        return jax.device_put(np.broadcast_to(leaf[None], (count, *leaf.shape)), _sharding())

    return jax.tree.map(stack, tree)


def to_host(tree: Any) -> Any:
    """A host copy of the first device's values: leaves [devices, ...] → numpy [...].

    A copy, not a view: on CPU the buffer may be donated to the next step while a checkpoint of it
    is still being written.
    """

    def fetch(leaf):
        return np.asarray(np.array(leaf.addressable_shards[0].data, copy=True)[0])

    return jax.tree.map(fetch, tree)


def split_batch(batch: dict[str, np.ndarray], steps: int = 1) -> dict[str, jax.Array]:
    """Puts a process's batch on its devices.

    Args:
      batch: leaves [steps · b, ...] with b the process's part of one global batch.
      steps: training steps the batch is for.

    Returns:
      Leaves [devices, steps, b / devices, ...].
    """
    count = jax.local_device_count()

    def place(leaf):
        leaf = leaf.reshape(steps, count, -1, *leaf.shape[1:])
        return jax.device_put(np.ascontiguousarray(np.swapaxes(leaf, 0, 1)), _sharding())

    return jax.tree.map(place, batch)


def pmap_step(step: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles (state, batches [steps, b, ...], key) → state over all devices; donates the state.

    With more than one step in the batch they run in one dispatch, under one `lax.scan`.
    """

    def run(state, batches, key):
        steps = jax.tree.leaves(batches)[0].shape[0]
        if steps == 1:
            return step(state, jax.tree.map(lambda x: x[0], batches), key)
        return jax.lax.scan(lambda s, b: (step(s, b, key), None), state, batches)[0]

    return jax.pmap(run, axis_name=AXIS, donate_argnums=0)
