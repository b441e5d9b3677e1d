"""train(config, workdir): the one training loop. It knows methods only as `Method`."""

import contextlib
import functools
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ebm_jax import data, first_stage, methods, parallel, provenance, stored_config
from ebm_jax import workdir as workdirs
from ebm_jax.checkpoint import Checkpointer
from ebm_jax.errors import ConfigError, DivergedError, PreemptedError
from ebm_jax.export import write_export
from ebm_jax.inference import on_all_devices
from ebm_jax.lead import Lead
from ebm_jax.preemption import Preemption
from ebm_jax.reporting.progress import Progress
from ebm_jax.reporting.writers import MetricWriter, read_metrics
from ebm_jax.snapshots import write_snapshot
from ebm_jax.training_step import (
    LoopState,
    build_step,
    empty_loop_state,
    empty_metrics,
    init_loop_state,
)
from ebm_jax.validation import validate

_SHOWN = (  # on the progress line, if there
    "loss/total",
    "loss/reconstruction_mse",
    "loss/generator",
    "loss/discriminator",
    "energy/",
)
_SKIPPED_WORTH_A_WARNING = 0.01  # of all updates
_WARN = ("train/skipped", "train/rollbacks")  # likewise, if not zero


def train(config: Any, workdir: str | Path, preemption: Preemption | None = None) -> int:
    """Trains until `train.num_steps`, from the newest checkpoint of `workdir` if there is one.

    Resume order:
      1. The data set is opened; its size completes the config.
      2. The method is built: the shapes of its state are what is expected.
      3. The newest readable checkpoint is that state; an unreadable one is set aside with a warning
         and the one before it is used. Shapes that do not fit end the run with a sentence, and so
         do results of a run whose checkpoints are all gone. Without either the state is made from
         the seed, and from `train.first_stage` where that is named.
      4. metrics.jsonl is cut after the checkpoint's step.
      5. Keys and batches are functions of (seed, roll-backs, step), so there is nothing else to
         restore, and the parameters that come out equal those of an uninterrupted run bit by bit.

    Args:
      config: an experiment's ConfigDict; `data.num_examples` is filled in.
      workdir: the run's folder, created if absent.
      preemption: a signal flag to poll; None makes one for this call.

    Returns:
      The step reached.

    Raises:
      ConfigError: bad settings, another run's folder or an export's, a folder that is in use or
        full, or one with the results of a run and without its checkpoints.
      DataError: the data set cannot be read.
      DivergedError: training diverged more often than `stability.max_rollbacks` allows.
      PreemptedError: a signal came; a checkpoint is saved.
    """
    validate(config)
    stored_config.refuse_export(workdir)
    parallel.check_batch_size(config.data.batch_size, config.train.accumulate)
    workdir = workdirs.output(workdir)
    new = not workdir.exists()
    workdirs.prepare(workdir)
    with contextlib.ExitStack() as stack:
        preemption = preemption or stack.enter_context(Preemption())
        stack.enter_context(workdirs.locked(workdir, made=new))
        return _train(config, workdir, preemption, stack)


def _check_nothing_is_lost(workdir: Path) -> None:
    """A run without checkpoints begins at step 0, whatever earlier steps have left in its folder.

    Raises:
      ConfigError: results of it, which would be replaced, or taken for those of the new steps.
    """
    folder = workdir / "checkpoints"
    if folder.is_dir() and any(path.name.isdigit() for path in folder.iterdir()):
        return
    if stored_config.is_export(workdir / "export") or any(workdir.glob("eval/*.json")):
        raise ConfigError(
            f"'{workdir}' holds the results of a run, and no checkpoint to go on from; keep them "
            "and choose another --workdir, or remove its export/ and eval/ to train again."
        )
    logged = max((row["step"] for row in read_metrics(workdir)), default=0)
    if logged:
        warnings.warn(
            f"'{workdir}' has metrics up to step {logged}, but no checkpoint to go on from; "
            "training begins at step 0.",
            stacklevel=2,
        )


def _train(config: Any, workdir: Path, preemption: Preemption, stack: contextlib.ExitStack) -> int:
    dataset = data.open_dataset(config.data, config.data.train_split)
    preview = data.open_dataset(config.data, config.data.eval_split)
    data.fill_in(config.data, dataset)
    provenance.check_same_run(config, workdir, training=True)
    method = methods.build(config, axis_name=parallel.AXIS)
    first_stage.check(config, method)
    base_key = jax.random.key(config.seed)

    def batch(step, count=1):
        share = jax.process_index(), jax.process_count()
        parts = [
            data.make_batch(dataset, config.data, config.seed, step + i, *share)
            for i in range(count)
        ]
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    stride = config.train.steps_per_dispatch
    total = config.train.num_steps
    single = methods.build(config)
    expected = empty_loop_state(single, batch(0), base_key)

    @functools.cache
    def initial():
        """(the state before any step, where what it takes from another run is from)."""
        if not config.train.first_stage:
            return jax.device_get(init_loop_state(single, batch(0), base_key)), None

        def build():
            first = first_stage.load(config, method)
            state = init_loop_state(single, batch(0), base_key, first.state)
            return jax.device_get(state), first.origin

        return parallel.built_by_primary(build, like=(expected, None))

    parallel.checked_by_primary(lambda: _check_nothing_is_lost(workdir))
    checkpointer = stack.enter_context(Checkpointer(workdir, config.train.keep_checkpoints))
    run = _Run(config, workdir, method, checkpointer, preview, preemption)
    restored = checkpointer.restore(expected)
    step, host_state = restored or (0, initial()[0])
    if step % stride:
        raise ConfigError(
            f"the checkpoint is of step {step}, which lies between two dispatches of "
            f"train.steps_per_dispatch = {stride}; use a divisor of {step}."
        )
    if step > total:
        raise ConfigError(
            f"the run in '{workdir}' is at step {step}, beyond train.num_steps {total}; give "
            f"{step} or more, or choose another --workdir."
        )
    # Now that the checkpoint is known to fit.
    provenance.record_run(config, workdir, step, None if restored else initial()[1])
    if step:
        print(f"resuming from step {step} of {config.train.num_steps}", flush=True)
    else:
        checkpointer.save(0, host_state)  # what a roll-back before the first checkpoint returns to
    p_step = parallel.pmap_step(build_step(method, config.stability, config.train.ema_decay))
    keys = parallel.replicate(base_key)

    while step < total:
        run.start_segment(step)
        state = parallel.replicate(host_state)
        dispatches = data.prefetch(
            lambda k: parallel.split_batch(batch(k * stride, stride), stride),
            step // stride,
            total // stride,
            config.data.prefetch,
        )
        rolled_back, lead = None, Lead()
        for k, batches in dispatches:
            state = p_step(state, batches, keys)
            lead(state)  # the first call waits, for the compilation
            step = (k + 1) * stride
            if run.progress is None:
                run.start_clock(step)
            if step % config.train.log_every == 0 or step == total:
                state, diverging = run.log(step, state)
                if diverging:
                    rolled_back = run.roll_back(step, initial, state)
                    break
            if step % config.train.image_every == 0 or step == total:
                run.snapshot(step, state, base_key)
            if step % config.train.checkpoint_every == 0 or step == total:
                run.save(step, state)
            if parallel.agreed_to_stop(preemption.requested is not None, k + 1):
                run.preempt(step, state)
        dispatches.close()
        if rolled_back is not None:
            step, host_state = rolled_back
        else:
            host_state = parallel.to_host(state)
    run.finish(step, host_state)
    return step


class _Run:
    """What happens around the steps: logging, pictures, roll-backs, the end."""

    def __init__(self, config, workdir, method, checkpointer, preview, preemption):
        self.config, self.workdir = config, workdir
        self.checkpointer, self.preview, self.preemption = checkpointer, preview, preemption
        self.method = on_all_devices(method)
        self.writer = self.progress = None

    def start_segment(self, step):
        """Cuts the log after `step` and starts counting time from there."""
        if self.writer:
            self.writer.close()
        self.writer = MetricWriter(self.workdir, step)
        lines = read_metrics(self.workdir)
        self.minutes_before = lines[-1].get("time/elapsed_minutes", 0.0) if lines else 0.0
        self.started = time.monotonic()
        self.progress = None

    def start_clock(self, step):
        """Starts the rate, after the first dispatch so that compilation does not count."""
        self.last_log = (step, time.monotonic())
        train = self.config.train
        self.progress = Progress(
            train.num_steps,
            step,
            sys.stdout,
            batch_size=self.config.data.batch_size,
            light_until=(train.warmup_steps or -1) if self.method.has_energy else -1,
        )

    def log(self, step, state: LoopState):
        """Writes the averages since the last line; returns (state with empty ones, diverging)."""
        host = jax.tree.map(np.asarray, parallel.to_host(state.metrics))
        train = state.train
        skipped, in_row, rollbacks = (
            int(parallel.to_host(x)) for x in (train.skipped, train.skipped_in_row, train.rollbacks)
        )
        with np.errstate(invalid="ignore"):
            metrics = {name: float(a.total / a.count) for name, a in host.items()}
        now = time.monotonic()
        last_step, last_time = self.last_log
        rate = (step - last_step) / max(now - last_time, 1e-9)
        self.last_log = (step, now)
        metrics |= {
            "train/skipped": skipped,
            "train/rollbacks": rollbacks,
            "time/steps_per_second": rate,
            "time/elapsed_minutes": self.minutes_before + (now - self.started) / 60,
        }
        self.writer.write_scalars(step, metrics)
        shown = {k: v for k, v in metrics.items() if k.startswith(_SHOWN) or (k in _WARN and v)}
        self.progress.update(step, shown)
        state = state._replace(metrics=parallel.replicate(empty_metrics(host)))
        return state, in_row >= self.config.stability.max_skipped

    def snapshot(self, step, state, key):
        averaged = methods.inference_state(parallel.to_host(state.train))
        write_snapshot(self.writer, self.config, self.method, averaged, self.preview, step, key)

    def save(self, step, state):
        """Saves a checkpoint, unless it would push out the one a roll-back needs."""
        host = parallel.to_host(state)
        if _is_good(host) or step == self.config.train.num_steps:
            self.checkpointer.save(step, host)

    def roll_back(self, step, initial, state):
        """(step, state) of the last good checkpoint, with other randomness from there on."""
        cfg = self.config.stability
        rollbacks = int(parallel.to_host(state.train.rollbacks)) + 1
        skipped = int(parallel.to_host(state.train.skipped_in_row))
        if rollbacks > cfg.max_rollbacks:
            self.progress.close()
            self.writer.close()
            self.checkpointer.close()
            raise DivergedError(
                f"training diverged at step {step}: {skipped} updates in a row were not finite or "
                f"too large, after {cfg.max_rollbacks} roll-backs; {self.method.advice}. "
                f"The last good checkpoint is kept in {self._place()}/checkpoints."
            )
        self.checkpointer.wait()
        found = self.checkpointer.restore(parallel.to_host(state), accept=_is_good)
        good_step, good = found or (0, initial()[0])
        self.checkpointer.forget_after(good_step)
        if good_step == 0:
            self.checkpointer.save(0, good)
        warnings.warn(
            f"step {step}: {skipped} updates in a row were skipped; rolling back to step "
            f"{good_step} with a new key and smaller steps of what runs away, × "
            f"{cfg.energy_backoff**rollbacks:g} (roll-back {rollbacks} of {cfg.max_rollbacks}).",
            stacklevel=2,
        )
        total_skipped = np.int32(parallel.to_host(state.train.skipped))
        train = good.train._replace(rollbacks=np.int32(rollbacks), skipped=total_skipped)
        return good_step, good._replace(train=train)

    def preempt(self, step, state):
        self.checkpointer.save(step, parallel.to_host(state))
        if self.progress:
            self.progress.close()
        self.writer.close()
        self.checkpointer.close()
        cause = self.preemption.requested or "SIGTERM"
        raise PreemptedError(
            f"{cause} received: step {step} is saved in {self._place()}; run the same command "
            "again to go on."
        )

    def _place(self):
        """The run's folder; beside process 0 `workdir` is one that nobody reads."""
        return self.workdir if parallel.is_primary() else "process 0's workdir"

    def finish(self, step, state):
        self.checkpointer.close()
        if self.progress:
            self.progress.close()
            self.writer.close()
        skipped, rollbacks = int(state.train.skipped), int(state.train.rollbacks)
        if skipped > _SKIPPED_WORTH_A_WARNING * step:
            rolled = f" and {rollbacks} roll-backs made" if rollbacks else ""
            warnings.warn(
                f"on the way to step {step}, {skipped} updates were skipped as not finite or too "
                f"large{rolled}: training was unstable; {self.method.advice}.",
                stacklevel=2,
            )
        averaged = methods.inference_state(state.train)
        write_export(self.workdir / "export", self.config, step, averaged)


def _is_good(state: LoopState) -> bool:
    return int(state.train.skipped_in_row) == 0
