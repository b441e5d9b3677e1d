"""A run's folder: its settings and where they came from, written once, compared on resume."""

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


def prepare(workdir: str | Path) -> Path:
    """Creates the folder and makes sure it can be written.

    Raises:
      ConfigError: it cannot.
    """
    path = Path(workdir).expanduser().resolve()
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".writable.{os.getpid()}"
        probe.write_text("yes")
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            f"the workdir '{path}' cannot be written ({error.strerror}); choose another --workdir."
        ) from error
    return path


def warn_of_changes(config: Any, workdir: Path, ignored: tuple[str, ...]) -> dict:
    """Names, in one warning, the settings that differ from those recorded in the folder.

    Args:
      config: the config about to be used.
      workdir: the run's folder.
      ignored: beginnings of setting names that may differ.

    Returns:
      The recorded `config.json`; empty when there is none or it cannot be read.
    """
    path = workdir / "config.json"
    try:
        recorded = dict(json.loads(path.read_text()))
    except FileNotFoundError:
        return {}
    except (TypeError, ValueError):
        warnings.warn(f"'{path}' cannot be read.", stacklevel=2)
        return {}
    old = flatten(recorded.get("config", {}), ".")
    new = flatten(json.loads(json.dumps(config.to_dict())), ".")
    changes = [
        f"{key}: {old.get(key)} → {new.get(key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not key.startswith(ignored)
    ]
    if old and changes:
        warnings.warn(
            f"'{workdir}' goes on with other settings than before: {'; '.join(changes)}",
            stacklevel=2,
        )
    return recorded


def record_run(config: Any, workdir: Path) -> None:
    """Writes `config.json`: resolved config, command, versions, hardware and git commit.

    A setting that differs from an earlier run's in the same folder is named in a warning, except
    the length of the run, which is meant to be extended.
    """
    path = workdir / "config.json"
    previous = warn_of_changes(config, workdir, ignored=("train.num_steps",))
    current = json.loads(json.dumps(config.to_dict()))
    write_json(
        path,
        {
            "config": current,
            "command": shlex.join(["python", "-m", "ebm_jax.main", *sys.argv[1:]]),
            "versions": {
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in _PACKAGES},
            },
            "hardware": describe_hardware(),
            "git_commit": git_commit(),
            "started": previous.get("started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
        },
    )


def describe_hardware() -> str:
    """E.g. '2 CPU cores, x86_64' or '8 × NVIDIA H100, 64 CPU cores'."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu = f"{cores} CPU cores"
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
