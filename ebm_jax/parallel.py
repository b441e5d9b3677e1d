"""Devices: the only file that maps over them.

Training state is replicated, one copy per local device stacked on a leading axis; batches are
split on that axis. Everything else sees arrays without it.
"""

import math
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ebm_jax.errors import ConfigError, UserError

AXIS = "devices"
_LAUNCH = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
_PATIENCE = 300.0  # seconds in which the processes of a job must meet


def initialise() -> None:
    """Joins the job's other processes, if the environment says that there are some.

    Found out by itself are a TPU pod that names its workers in TPU_WORKER_HOSTNAMES and a Slurm job
    of several tasks; elsewhere, on plain TPU VMs too, the launcher sets JAX_COORDINATOR_ADDRESS
    (host:port of process 0), JAX_NUM_PROCESSES and JAX_PROCESS_ID. Must be called before anything
    asks for a device; a second call does nothing.

    Raises:
      ConfigError: the variables are incomplete or make no sense, or the processes do not meet. If
        they have not met within five minutes the process ends with the same sentence and code.
    """
    if jax.distributed.is_initialized():
        return
    given = {name: os.environ[name] for name in _LAUNCH if os.environ.get(name)}
    slurm = int(os.environ.get("SLURM_NTASKS") or 1) > 1 and "SLURM_PROCID" in os.environ
    pod = "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
    if given and len(given) < len(_LAUNCH):
        missing = ", ".join(name for name in _LAUNCH if name not in given)
        raise ConfigError(
            f"{', '.join(given)} set, but without {missing}; set all three for a launch by "
            "environment variables, or none."
        )
    if not (given or slurm or pod):
        return
    arguments = _launched_by(*map(given.get, _LAUNCH)) if given else {}
    # XLA, which waits, would abort the process without a sentence.
    timer = threading.Timer(_PATIENCE, _give_up, [f"in {_PATIENCE:.0f} s"])
    timer.daemon = True
    timer.start()
    try:
        jax.distributed.initialize(**arguments, initialization_timeout=int(2 * _PATIENCE))
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0][:300]
        raise ConfigError(_NOT_MET.format(reason)) from error
    finally:
        timer.cancel()


_NOT_MET = (
    "the processes of this job did not meet ({}); start all of them, with the address of process 0 "
    "and a number of its own for each."
)


def _give_up(reason):
    print(f"error: {_NOT_MET.format(reason)}", file=sys.stderr, flush=True)
    os._exit(ConfigError.exit_code)  # the main thread is inside XLA, where no exception reaches it


def _launched_by(address: str, count: str, number: str) -> dict[str, Any]:
    """`jax.distributed.initialize`'s arguments from the three variables."""
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and 0 < int(port) < 2**16):
        raise ConfigError(
            f"JAX_COORDINATOR_ADDRESS is '{address}'; use host:port of process 0, with a port of "
            "at most 65535."
        )
    if not (count.isdecimal() and number.isdecimal() and int(number) < int(count)):
        raise ConfigError(
            f"JAX_NUM_PROCESSES is '{count}' and JAX_PROCESS_ID is '{number}'; use the number of "
            "processes, and 0, 1, … below it for each."
        )
    return dict(coordinator_address=address, num_processes=int(count), process_id=int(number))


def is_primary() -> bool:
    """Whether this process writes what the run leaves behind."""
    return jax.process_index() == 0


def from_primary(tree: Any) -> Any:
    """Process 0's values of a tree of host arrays, on every process."""
    if jax.process_count() == 1:
        return tree
    received = multihost_utils.broadcast_one_to_all(tree)
    return jax.tree.map(np.asarray, received)


def built_by_primary(build: Callable[[], tuple[Any, Any]], like: tuple[Any, Any]) -> Any:
    """(tree of host arrays, anything) of build(), which process 0 alone calls.

    Args:
      build: may raise.
      like: a tree of the same shapes, and what the others get in the second place.

    Raises:
      ConfigError: elsewhere, where process 0 raised.
    """
    found, error = like, None
    if is_primary():
        try:
            found = build()
        except UserError as caught:
            error = caught
    failed = bool(from_primary(np.asarray(error is not None)))
    if error is not None:
        raise error
    if failed:
        raise ConfigError("process 0 could not begin the run; see its message.")
    return from_primary(found[0]), found[1]


def checked_by_primary(check: Callable[[], None]) -> None:
    """Calls check() on process 0 alone, whose files it looks at.

    Raises:
      ConfigError: elsewhere, where process 0 raised.
    """
    nothing = np.zeros(())
    built_by_primary(lambda: (nothing, check()), like=(nothing, None))


def agreed_to_stop(requested: bool, call: int) -> bool:
    """Whether all processes stop here: at the same call, though a signal may reach only one.

    Args:
      requested: whether a signal has reached this process (one process alone needs no more).
      call: number of this call, one more than at the last one: with several processes JAX agrees
        on the number to stop at, which must come.
    """
    if jax.process_count() == 1:
        return requested
    return multihost_utils.reached_preemption_sync_point(call)


def _sharding() -> NamedSharding:
    return NamedSharding(Mesh(np.array(jax.local_devices()), (AXIS,)), PartitionSpec(AXIS))


def check_batch_size(batch_size: int, parts: int = 1) -> None:
    """Raises ConfigError unless the global batch splits evenly over all devices, in equal parts."""
    unit = jax.device_count() * parts
    if batch_size <= 0 or batch_size % unit:
        each = f" in {parts} parts each (train.accumulate)" if parts > 1 else ""
        raise ConfigError(
            f"data.batch_size is {batch_size}, which does not split evenly over "
            f"{jax.device_count()} devices{each}; use a positive multiple of {unit}."
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


def over_examples(
    function: Callable[..., Any], *, in_axes: tuple, out_axes: Any
) -> Callable[..., Any]:
    """`function` with its examples split over all devices of all processes.

    Args:
      function: arrays → a tree of arrays; pure.
      in_axes: 0 for an argument whose leading axis are examples, None for one that all share.
      out_axes: tree prefix of the result: the axis of the examples in each leaf.

    Returns:
      A function of the same arguments; their example axes are padded to a multiple of the number
      of devices by repeating the last, and results are cut back. Results are on every process.
    """
    mapped = jax.pmap(function, in_axes=in_axes, out_axes=out_axes)
    local, processes = jax.local_device_count(), jax.process_count()

    def run(*arguments):
        examples = zip(in_axes, arguments, strict=True)
        count = next(jax.tree.leaves(a)[0].shape[0] for axis, a in examples if axis == 0)
        share = math.ceil(count / jax.device_count())
        index = np.minimum(np.arange(share * jax.device_count()), count - 1)
        mine = np.split(index, processes)[jax.process_index()].reshape(local, share)
        split = [
            jax.tree.map(lambda leaf: _take(leaf, mine), argument) if axis == 0 else argument
            for axis, argument in zip(in_axes, arguments, strict=True)
        ]

        def gather(axis, part):
            def one(leaf):
                leaf = np.moveaxis(np.asarray(leaf), (axis, axis + 1), (0, 1))
                leaf = leaf.reshape(-1, *leaf.shape[2:])
                if processes > 1:
                    leaf = np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
                return np.moveaxis(leaf[:count], 0, axis)

            return jax.tree.map(one, part)

        return jax.tree.map(gather, out_axes, mapped(*split))

    return run


def _take(leaf, index):
    if isinstance(leaf, jax.Array) and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return leaf[index]
    return np.asarray(leaf)[index]


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
