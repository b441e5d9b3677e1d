"""Where a run came from: `config.json`, written when it starts and compared when it goes on."""

import json
import os
import platform
import shlex
import subprocess
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.tables import flatten

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
_NETS = ("coupling.hidden", "coupling.layers", "diffusion.num_steps")  # what else shapes them
_IDENTITY = ("seed", "compute_dtype", "method.", "data.", "model.", *_NETS)  # makes it this run
_COUNTED = "data.num_examples"  # follows from the data
_INDIFFERENT = ("data.prefetch", "data.cache_gib", "train.num_steps", "eval.")  # to the training


def check_same_run(config: Any, workdir: Path, *, training: bool = False) -> None:
    """Refuses a config that is not of the run in the folder.

    Args:
      config: the config about to be used.
      workdir: the run's folder.
      training: whether the run is to go on, which must be on the same first stage.

    Raises:
      ConfigError: seed, data, model or method differ from those in its `config.json`.
    """
    differing = {
        key: text
        for key, text in _changes(config, workdir).items()
        if key.startswith(_IDENTITY) or (training and key == "train.first_stage")
    }
    if len(differing) > 1:
        differing.pop(_COUNTED, None)  # nobody gave it
    if differing:
        raise ConfigError(
            f"'{workdir}' holds a run with other settings ({'; '.join(differing.values())}); "
            "choose another --workdir, or give that run's settings."
        )


def warn_of_changes(config: Any, workdir: Path, words: str, ignored: tuple[str, ...]) -> None:
    """Names, in one warning, the settings that differ from those recorded in the folder.

    Args:
      config: the config about to be used.
      workdir: the run's folder.
      words: how the warning begins.
      ignored: beginnings of setting names that may differ.
    """
    ignored = (*ignored, _COUNTED)
    changes = [t for key, t in _changes(config, workdir).items() if not key.startswith(ignored)]
    if changes:
        warnings.warn(
            f"{words}: {'; '.join(changes)}",
            stacklevel=2,
        )


def record_run(
    config: Any, workdir: Path, step: int, first_stage: dict[str, Any] | None = None
) -> None:
    """Writes `config.json`: resolved config, command, versions, hardware and git commit.

    A setting that differs from before is named in a warning and kept in the list `changes`, with
    the step from which the new value holds; the length of the run is meant to be extended. The
    commits that trained it are the list `commits`, each with its first step.

    Args:
      config: the resolved config.
      workdir: the run's folder.
      step: where training goes on.
      first_stage: where what the run takes from another is from; kept from the run's beginning on.

    Raises:
      ConfigError: the run is finished and a changed setting would change nothing.
    """
    changes = {
        key: text
        for key, text in _changes(config, workdir).items()
        if not key.startswith(_INDIFFERENT)
    }
    if changes and step >= config.train.num_steps:
        raise ConfigError(
            f"the run in '{workdir}' is finished at step {step}, so it cannot take other settings "
            f"({'; '.join(changes.values())}); choose another --workdir, raise train.num_steps to "
            "go on, or use --mode eval to evaluate it with other samplers."
        )
    words = f"'{workdir}' goes on with other settings than before"
    warn_of_changes(config, workdir, words, ignored=_INDIFFERENT)
    previous = _recorded(workdir)
    here = origin()
    begun = {key: previous[key] for key in here if step and key in previous}
    write_json(
        workdir / "config.json",
        {
            "config": json.loads(json.dumps(config.to_dict())),
            **here | begun,  # of the process that began the run
            "versions": {
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in _PACKAGES},
            },
            "started": previous.get("started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
            "changes": previous.get("changes", [])
            + [{"step": step, "setting": text} for text in changes.values()],
            "first_stage": first_stage or previous.get("first_stage"),
            "commits": _commits(previous, here["git_commit"], step, config.train.num_steps),
        },
    )


def _commits(previous: dict, commit: str, step: int, num_steps: int) -> list[dict[str, Any]]:
    """[{step, git_commit}] of the code that has trained a run; warns of another than before."""
    if not (step and previous):  # a process beside the first has a folder of its own, and no past
        return [{"step": step, "git_commit": commit}]
    begun = [{"step": 0, "git_commit": previous.get("git_commit", "unknown")}]
    commits = previous.get("commits", begun)  # older records have none
    last = commits[-1]["git_commit"]
    if step >= num_steps or last == commit:
        return commits
    warnings.warn(f"the run goes on with other code: {last} → {commit}", stacklevel=3)
    return [*commits, {"step": step, "git_commit": commit}]


def origin() -> dict[str, str]:
    """Command, commit and hardware of this process: what a number needs to be made again."""
    return {
        "command": shlex.join(["python", "-m", "ebm_jax.main", *sys.argv[1:]]),
        "git_commit": git_commit(),
        "hardware": describe_hardware(),
    }


def _changes(config: Any, workdir: Path) -> dict[str, str]:
    """{setting: 'setting: old → new'} against the folder's record; empty where there is none.

    A setting that the code has gained since then is no change, unless it picks other data: its
    default is what the code did.
    """
    old = flatten(_recorded(workdir).get("config", {}), ".")
    new = flatten(json.loads(json.dumps(config.to_dict())), ".")
    return {
        key: f"{key}: {old.get(key)} → {new.get(key)}"
        for key in sorted(old.keys() | new.keys())
        if old and old.get(key) != new.get(key) and (key in old or key.startswith("data."))
    }


def _recorded(workdir: Path) -> dict:
    """`config.json`; empty in a folder without a run.

    Raises:
      ConfigError: it is damaged, or missing beside checkpoints.
    """
    path = workdir / "config.json"
    try:
        found = dict(json.loads(path.read_text()))
        kinds = {"config": dict, "changes": list, "commits": list}
        if all(isinstance(found.get(name, kind()), kind) for name, kind in kinds.items()):
            return found
        wrong = "is no record of a run"
    except FileNotFoundError:
        if not any((workdir / "checkpoints").glob("[0-9]*")):
            return {}
        wrong = "is missing"
    except (TypeError, ValueError, RecursionError):
        wrong = "cannot be read"
    raise ConfigError(
        f"'{path}' {wrong}, and it alone says what run the folder holds; put a copy of it back, or "
        "choose another --workdir."
    )


def describe_hardware() -> str:
    """E.g. '2 CPU cores, x86_64' or '8 × NVIDIA H100, 64 CPU cores'."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = f"{cores} CPU core{'s' if cores > 1 else ''}"
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return f"{cpu}, {platform.machine()}"
    return f"{jax.device_count()} × {device.device_kind}, {cpu}"


def git_commit() -> str:
    """The commit of the code that runs, with '-dirty' if tracked files differ; else 'unknown'."""
    root = Path(__file__).resolve().parent.parent

    def git(*arguments):
        return subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20
        )

    try:
        commit = git("rev-parse", "HEAD")
        if commit.returncode or not (root / ".git").exists():
            return "unknown"
        dirty = git("status", "--porcelain", "--untracked-files=no").stdout.strip()
        return commit.stdout.strip() + ("-dirty" if dirty else "")
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
