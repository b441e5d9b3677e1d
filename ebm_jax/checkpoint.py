"""Checkpoints: one Orbax directory per saved step, written in the background by process 0.

A checkpoint holds the whole LoopState and a description of its shapes. Restoring tries the newest
first; one that cannot be read is set aside with a warning and an older one is used. Since keys
and batches are functions of (seed, step), nothing else needs saving.
"""

import contextlib
import functools
import logging
import os
import re
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from ebm_jax import parallel
from ebm_jax import workdir as workdirs
from ebm_jax.errors import ConfigError

_PATIENCE = 10**9  # seconds that a save may take


def _describe(state: Any) -> dict[str, str]:
    """{path of a leaf: 'dtype[shape]'}."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            f"{np.asarray(leaf).dtype}{list(np.shape(leaf))}"
        )
        for path, leaf in leaves
    }


@functools.cache  # once per process
def _ignore_late_reads() -> None:
    """Drops what TensorStore's other reads report after one has failed and ended the event loop."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    report = sys.unraisablehook

    def hook(unraisable):
        error = unraisable.exc_value
        if not (isinstance(error, RuntimeError) and str(error) == "Event loop is closed"):
            report(unraisable)

    sys.unraisablehook = hook


class Checkpointer:
    """Saves and restores the LoopStates of one workdir.

    As a context it finishes what is being written when an error ends the work.

    Args:
      workdir: its `checkpoints/` folder is used, and created.
      keep: how many checkpoints stay.
      read_only: never writes, deletes or moves anything.
    """

    def __init__(self, workdir: str | Path, keep: int = 3, *, read_only: bool = False):
        self._directory = Path(workdir).resolve() / "checkpoints"
        self._read_only = read_only
        self._manager = None
        if not parallel.is_primary():
            return
        alone = {}
        if jax.process_count() > 1:  # Orbax would wait for the others, which do not save
            if not read_only:
                self._directory.mkdir(parents=True, exist_ok=True)
            alone = dict(
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    primary_host=0, active_processes={0}, barrier_sync_key_prefix="primary"
                )
            )
        options = ocp.CheckpointManagerOptions(
            max_to_keep=None if read_only else keep,
            create=not read_only and not alone,
            enable_async_checkpointing=True,
            # By the wall clock, which may be set forward while a checkpoint is written.
            async_options=ocp.AsyncOptions(timeout_secs=_PATIENCE),
            read_only=read_only,
            **alone,
        )
        self._manager = ocp.CheckpointManager(self._directory, options=options)

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, kind, error, trace) -> None:
        if isinstance(error, Exception):
            with contextlib.suppress(ConfigError):  # `error` is what ends the run
                self.wait()

    def save(self, step: int, state: Any) -> None:
        """Starts writing host arrays `state` as the checkpoint of `step`.

        Raises:
          ConfigError: the checkpoint (or the one before, still being written) cannot be written.
        """
        if self._manager is None or step in self._manager.all_steps():
            return
        args = ocp.args.Composite(
            state=ocp.args.StandardSave(state), shapes=ocp.args.JsonSave(_describe(state))
        )
        try:
            # Orbax's threads would wait five minutes for a folder that cannot be written.
            workdirs.check_writable(self._directory)
            self._manager.save(step, args=args, force=True)
        except Exception as error:  # Orbax and TensorStore raise many types
            raise self._unwritable(step, error) from error

    def wait(self) -> None:
        """Blocks until every started save is on disk.

        Raises:
          ConfigError: a save failed.
        """
        if self._manager is None:
            return
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            raise self._unwritable(None, error) from error

    def _unwritable(self, step, error) -> ConfigError:
        what = "checkpoint" if step is None else f"the checkpoint of step {step}"
        return ConfigError(
            f"cannot write {what} in {self._directory} ({_first_line(error)}); free some space or "
            "make the folder writable and run the same command again: earlier checkpoints are "
            "intact."
        )

    def steps(self) -> list[int]:
        """Saved steps, oldest first."""
        return [] if self._manager is None else sorted(self._manager.all_steps())

    def restore(
        self,
        like: Any,
        accept: Callable[[Any], bool] = lambda state: True,
        *,
        before: int | None = None,
    ) -> tuple[int, Any] | None:
        """The newest checkpoint that can be read and is acceptable.

        Args:
          like: a state of the expected structure and shapes (host or device arrays).
          accept: readable checkpoints it refuses are passed over.
          before: likewise those of this step and later.

        Returns:
          (step, state of numpy arrays), or None when there is no such checkpoint.

        Raises:
          ConfigError: the checkpoint's shapes are not those of `like`, or there are checkpoints and
            none can be read. (That of step 0 alone is set aside with a warning: nothing is lost.)
        """
        found, error = None, None
        try:
            found = self._restore_here(like, lambda step: before is None or step < before, accept)
        except ConfigError as caught:
            error = caught
        if jax.process_count() > 1:
            step = -2 if error else -1 if found is None else found[0]
            step = int(parallel.from_primary(np.int32(step)))
            if step == -2 and error is None:
                error = ConfigError("process 0 could not restore a checkpoint; see its message.")
            if step >= 0:
                found = step, parallel.from_primary(found[1] if found else _host(like))
        if error is not None:
            raise error
        return found

    def _restore_here(self, like, wanted, accept):
        """`restore` from this process's disk."""
        unreadable = {}
        found = self._newest(like, wanted, accept, unreadable)
        if any(unreadable) and len(unreadable) == len(self.steps()):
            step, error = max(unreadable.items())
            raise ConfigError(
                f"none of the checkpoints in {self._directory} can be read (step {step}: "
                f"{_first_line(error)}); mend the folder, or start afresh in another --workdir."
            )
        used = f"that of step {found[0]} is used" if found else "there is none before it"
        for step, error in unreadable.items():
            self._set_aside(step, error, used)
        return found

    def _newest(self, like, wanted, accept, unreadable):
        """`restore`'s search; the steps that cannot be read are added to `unreadable`."""
        _ignore_late_reads()
        expected = _describe(like)
        abstract = _host(like)
        for step in filter(wanted, reversed(self.steps())):
            try:
                shapes = dict(self._read(step, shapes=ocp.args.JsonRestore()))
            except Exception as error:
                unreadable[step] = error
                continue
            self._check_shapes(step, shapes, expected)
            try:
                state = self._read(step, state=ocp.args.StandardRestore(abstract))
            except Exception as error:
                unreadable[step] = error
                continue
            state = jax.tree.map(np.asarray, state)
            if accept(state):
                return step, state
        return None

    def forget_after(self, step: int) -> None:
        """Deletes the checkpoints of later steps: training goes on from `step` another way."""
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def _read(self, step, **item):
        ((name, args),) = item.items()
        return self._manager.restore(step, args=ocp.args.Composite(**{name: args}))[name]

    def _check_shapes(self, step, found, expected):
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                raise ConfigError(
                    f"the checkpoint of step {step} in {self._directory} does not fit the config: "
                    f"{name} is {found.get(name, 'absent')} in the checkpoint and "
                    f"{expected.get(name, 'absent')} by the config; use the config it was trained "
                    "with, or another --workdir."
                )

    def _set_aside(self, step, error, used):
        """Moves an unreadable checkpoint out of the way, so that its step can be saved again."""
        warnings.warn(
            f"the checkpoint of step {step} in {self._directory} cannot be read "
            f"({_first_line(error)}); {used}.",
            stacklevel=3,
        )
        if self._read_only:
            return
        broken = self._directory.parent / "checkpoints_unreadable" / str(step)
        shutil.rmtree(broken, ignore_errors=True)
        broken.parent.mkdir(exist_ok=True)
        shutil.move(self._directory / str(step), broken)
        self._manager.reload()

    def close(self) -> None:
        """Waits for the last save and frees the threads.

        Raises:
          ConfigError: the save failed.
        """
        self.wait()
        if self._manager is not None:
            self._manager.close()


def _host(like: Any) -> Any:
    """Uninitialised host arrays of the same shapes."""
    return jax.tree.map(lambda x: np.empty(np.shape(x), np.asarray(x).dtype), like)


def _first_line(error: BaseException) -> str:
    """What the error says, in one line; of TensorStore's long ones the system's reason alone."""
    text = str(error).strip()
    line = (text.splitlines() or [type(error).__name__])[0]
    code = re.search(r"\[os_error_code='(\d+)'\]", text)
    if code:
        return os.strerror(int(code[1]))
    return line if len(line) <= 120 else f"{line[:120]}…"
