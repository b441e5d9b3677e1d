"""A run's folder: its settings and where they came from, written once, compared on resume."""

import json
import os
import platform
import subprocess
import sys
import time
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import ml_collections

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.writers import write_json

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def validate(config: Any) -> None:
    """Checks what no single part can check for itself.

    Raises:
      ConfigError: a duration is not positive, or durations do not fit `train.steps_per_dispatch`.
    """
    train = config.train
    for name in ("num_steps", "log_every", "checkpoint_every", "image_every"):
        if train[name] <= 0:
            raise ConfigError(f"train.{name} is {train[name]}; it must be positive.")
    if train.steps_per_dispatch <= 0:
        raise ConfigError(
            f"train.steps_per_dispatch is {train.steps_per_dispatch}; it must be positive."
        )
    for name in ("num_steps", "log_every", "checkpoint_every", "image_every"):
        if train[name] % train.steps_per_dispatch:
            raise ConfigError(
                f"train.{name} is {train[name]}, no multiple of train.steps_per_dispatch = "
                f"{train.steps_per_dispatch}; change one of the two."
            )
    if not 0 <= train.ema_decay < 1:
        raise ConfigError(f"train.ema_decay is {train.ema_decay}; it must be in [0, 1).")
    if config.compute_dtype not in ("float32", "bfloat16"):
        raise ConfigError(
            f"compute_dtype is '{config.compute_dtype}'; use 'float32' or 'bfloat16'."
        )
    if not config.model.latent_sizes or min(config.model.latent_sizes) <= 0:
        raise ConfigError(
            f"model.latent_sizes is {tuple(config.model.latent_sizes)}; give one positive size per "
            "layer, bottom first."
        )


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


def record_run(config: Any, workdir: Path) -> None:
    """Writes `config.json`: resolved config, command, versions, hardware and git commit.

    A setting that differs from an earlier run's in the same folder is named in a warning, except
    the length of the run, which is meant to be extended.
    """
    path = workdir / "config.json"
    previous = {}
    if path.exists():
        try:
            previous = dict(json.loads(path.read_text()))
        except (TypeError, ValueError):
            warnings.warn(f"'{path}' cannot be read; it is written again.", stacklevel=2)
    current = json.loads(json.dumps(config.to_dict()))
    if "config" in previous:
        old, new = _flatten(previous["config"]), _flatten(current)
        changes = [
            f"{key}: {old.get(key)} → {new.get(key)}"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and key != "train.num_steps"
        ]
        if changes:
            warnings.warn(
                f"resuming '{workdir}' with other settings than before: {'; '.join(changes)}",
                stacklevel=2,
            )
    write_json(
        path,
        {
            "config": current,
            "command": " ".join(["python", "-m", "ebm_jax.main", *sys.argv[1:]]),
            "versions": {
                "python": platform.python_version(),
                **{name: metadata.version(name) for name in _PACKAGES},
            },
            "hardware": describe_hardware(),
            "git_commit": git_commit(),
            "started": previous.get("started", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())),
        },
    )


def read_config(workdir: Path) -> ml_collections.ConfigDict | None:
    """The config an earlier run recorded in this folder, or None."""
    path = workdir / "config.json"
    if not path.exists():
        return None
    return ml_collections.ConfigDict(json.loads(path.read_text())["config"])


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


def _flatten(tree: dict, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
