"""evaluate(config, workdir): the config's tasks on the newest checkpoint."""

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ebm_jax import data, methods, parallel, provenance, stored_config
from ebm_jax import workdir as workdirs
from ebm_jax.checkpoint import Checkpointer
from ebm_jax.errors import ConfigError, PreemptedError
from ebm_jax.evaluation import TASKS
from ebm_jax.evaluation.context import Context
from ebm_jax.inference import on_all_devices
from ebm_jax.preemption import Preemption
from ebm_jax.prerequisites import validate_method, validate_with_data
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.report import write_report
from ebm_jax.training_step import empty_loop_state
from ebm_jax.validation import validate


def open_context(
    config: Any, workdir: str | Path, poll: Callable[[], None] = lambda: None
) -> Context:
    """The newest readable checkpoint of `workdir`, ready to be evaluated.

    Raises:
      ConfigError: there is no checkpoint, or it is of another run than the config's.
      DataError: the data set cannot be read.
    """
    workdir = Path(workdir).expanduser().resolve()
    stored_config.refuse_export(workdir)
    if not (workdir / "checkpoints").is_dir():
        there = stored_config.is_export(workdir / "export")
        export = f"; --mode sample takes its export: --workdir {workdir}/export" if there else ""
        raise ConfigError(
            f"there is no checkpoint in '{workdir}'; train first, or give the --workdir of a run"
            f"{export}."
        )
    train_set = data.open_dataset(config.data, config.data.train_split)
    eval_set = data.open_dataset(config.data, config.data.eval_split)
    data.fill_in(config.data, train_set)
    provenance.check_same_run(config, workdir)
    method = methods.build(config)
    batch = data.make_batch(train_set, config.data, config.seed, 0)
    shapes = empty_loop_state(method, batch, jax.random.key(config.seed))
    checkpointer = Checkpointer(workdir, read_only=True)

    def before(step):
        found = checkpointer.restore(shapes, before=step)
        return found and (found[0], jax.device_put(methods.inference_state(found[1].train)))

    found = before(None)
    if found is None:
        raise ConfigError(f"no checkpoint in '{workdir}' can be read; train again.")
    step, averaged = found
    return Context(
        config,
        on_all_devices(method),
        averaged,
        step,
        workdirs.output(workdir) / "eval",
        train_set,
        eval_set,
        poll,
        before,
    )


def evaluate(
    config: Any,
    workdir: str | Path,
    preemption: Preemption | None = None,
    *,
    again: bool = True,
) -> dict[str, dict]:
    """Runs `eval.tasks` and writes `eval/<task>.json`, figures and `report.html`.

    Args:
      config: the experiment's ConfigDict.
      workdir: a run's folder with a checkpoint.
      preemption: polled between chunks.
      again: redo tasks whose JSON is of the same checkpoint and settings, but for those that an
        interrupted call of the same kind has done.

    Returns:
      {task: its JSON}.

    Raises:
      ConfigError, DataError: see their messages.
      PreemptedError: a signal came; finished tasks and chunks are kept.
    """

    # They go on where those of the training loop end.
    polls = itertools.count(config.train.num_steps // config.train.steps_per_dispatch + 1)

    def poll():
        asked = preemption is not None and preemption.requested is not None
        if preemption is not None and parallel.agreed_to_stop(asked, next(polls)):
            cause = preemption.requested or "SIGTERM"
            raise PreemptedError(
                f"{cause} received during the evaluation; finished tasks and chunks are "
                "kept, run the same command again to go on."
            )

    validate(config)
    context = open_context(config, workdir, poll)
    validate_with_data(config, context.train_set)
    validate_method(config, context.method)
    provenance.warn_of_changes(
        config,
        Path(workdir),
        f"this evaluation of '{workdir}' alone has other settings than the run",
        ignored=("train.", "eval.", "stability.", "optim."),
    )
    if not config.eval.tasks and again:
        raise ConfigError(f"eval.tasks is empty; name some of: {', '.join(sorted(TASKS))}.")
    workdirs.prepare(context.folder.parent)
    results = _run_tasks(config, context, again)
    write_report(context.folder.parent)
    return results


_BEGUN = "unfinished.state"  # tasks done by an evaluation that has not ended


def _run_tasks(config, context: Context, again: bool) -> dict[str, dict]:
    """{task: its JSON}, writing each when it is done."""
    context.folder.mkdir(exist_ok=True)
    begun = context.folder / _BEGUN
    kept = set(_read_json(begun).get("done", ()))
    told = config.eval.to_dict() | {"sampler": config.sampler.to_dict()}
    told.pop("tasks")  # what is evaluated beside a task does not change it
    if config.method.name in config:  # the method's own group, e.g. a temperature
        told[config.method.name] = config[config.method.name].to_dict()
    settings = json.loads(json.dumps(told))
    origin = provenance.origin()
    results = {}
    for name in config.eval.tasks:
        path = context.folder / f"{name}.json"
        done = _read_json(path)
        same = {"step": context.step, "seed": config.seed, "settings": settings}
        finished = (not again or name in kept) and same.items() <= done.items()
        if parallel.from_primary(np.asarray(finished)):  # the others have no files
            results[name] = done
            continue
        started = time.monotonic()
        print(f"evaluating {name} …{_replacement(done, same)}", flush=True)
        result = TASKS[name](context)
        results[name] = {
            "task": name,
            "step": context.step,
            "seed": config.seed,
            "dataset": context.train_set.name,
            "seconds": round(time.monotonic() - started, 2),
            "settings": settings,
            "origin": origin,
        } | result
        write_json(path, results[name])
        kept.add(name)
        write_json(begun, {"done": sorted(kept)})
    begun.unlink(missing_ok=True)
    return results


def _replacement(done: dict, same: dict) -> str:
    """What is said of an earlier result of a task that is about to be replaced by another one."""
    if not done or same.items() <= done.items():
        return ""
    if done.get("step") != same["step"]:
        return f" (in the place of the result of step {done.get('step')})"
    return " (in the place of a result with other settings)"


def _read_json(path: Path) -> dict:
    try:
        return dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (TypeError, ValueError, RecursionError):
        return {}  # half-written by an interrupted run: the task runs again
