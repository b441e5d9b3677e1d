"""What a workdir's files say about its run."""

import json
import os
import re
from pathlib import Path
from typing import NamedTuple

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.writers import read_metrics

MINUTES = "time/elapsed_minutes"
PARAMETERS = "params.msgpack"  # of exports alone
_FIRST = ("fid", "fd_classifier", "reconstruction")  # evaluations a reader looks for first


class RunRecord(NamedTuple):
    """A run as read from disk; what is missing is empty or None."""

    workdir: Path
    info: dict  # config.json: config, command, versions, git_commit, hardware, started
    metrics: list[dict]  # rows of metrics.jsonl
    samples: dict[str, list[tuple[int | None, Path]]]  # kind → (step, file), by step
    evaluations: dict[str, dict]  # task → eval/<task>.json; those of `_FIRST`, then by name
    figures: list[Path]  # eval/*.png
    checkpoint_step: int | None
    problems: list[str]  # sentences about files that could not be read

    @property
    def config(self) -> dict:
        found = self.info.get("config")
        return found if isinstance(found, dict) else {}

    def setting(self, key: str, default=None):
        """A value of the config by its dotted name."""
        value = self.config
        for part in key.split("."):
            if not isinstance(value, dict) or part not in value:
                return default
            value = value[part]
        return value

    @property
    def step(self) -> int | None:
        """The furthest step seen in the metrics, the checkpoints or the evaluations."""
        steps = [row["step"] for row in self.metrics]
        steps += [e["step"] for e in self.evaluations.values() if isinstance(e.get("step"), int)]
        steps += [] if self.checkpoint_step is None else [self.checkpoint_step]
        return max(steps, default=None)

    @property
    def minutes(self) -> float | None:
        """Minutes of training, over all restarts, as last logged."""
        logged = [row[MINUTES] for row in self.metrics if row.get(MINUTES) is not None]
        return logged[-1] if logged else None


def _read_json(path: Path, problems: list[str]) -> dict:
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{path.parent.name}/{path.name} could not be read ({error}).")
        return {}
    if not isinstance(content, dict):
        problems.append(f"{path.parent.name}/{path.name} holds no JSON object.")
        return {}
    return content


def _read_samples(folder: Path) -> dict[str, list[tuple[int | None, Path]]]:
    kinds: dict[str, list[tuple[int | None, Path]]] = {}
    for path in sorted(folder.glob("[!.]*.png")):
        match = re.fullmatch(r"(.+)_(\d+)", path.stem)
        kind, step = (match[1], int(match[2])) if match else (path.stem, None)
        kinds.setdefault(kind, []).append((step, path))
    for files in kinds.values():
        files.sort(key=lambda item: -1 if item[0] is None else item[0])
    return kinds


def _latest_checkpoint(folder: Path) -> int | None:
    """The highest step among folders named by one; unfinished saves have other names."""
    if not folder.is_dir():
        return None
    names = (re.fullmatch(r"[A-Za-z_-]*?(\d+)", path.name) for path in folder.iterdir())
    return max((int(name[1]) for name in names if name), default=None)


def _place(path: Path) -> tuple[int, str]:
    """Where an evaluation stands among the others."""
    return (_FIRST.index(path.stem) if path.stem in _FIRST else len(_FIRST), path.stem)


def read_run(workdir: str | os.PathLike) -> RunRecord:
    """Reads all that a workdir holds about its run.

    Args:
      workdir: the run's folder; every part of it may be missing.

    Returns:
      The record; files that cannot be read are named in `problems`.

    Raises:
      ConfigError: there is no such folder, or it holds an export.
    """
    workdir = Path(workdir)
    if not workdir.is_dir():
        raise ConfigError(f"There is no folder '{workdir}'; give the folder of a run.")
    if (workdir / PARAMETERS).is_file():
        raise ConfigError(f"'{workdir}' holds an export and no run; give the folder of a run.")
    problems: list[str] = []
    evaluations = {
        path.stem: content
        for path in sorted((workdir / "eval").glob("[!.]*.json"), key=_place)
        if (content := _read_json(path, problems))
    }
    return RunRecord(
        workdir=workdir,
        info=_read_json(workdir / "config.json", problems),
        metrics=read_metrics(workdir),
        samples=_read_samples(workdir / "samples"),
        evaluations=evaluations,
        figures=sorted((workdir / "eval").glob("[!.]*.png")),
        checkpoint_step=_latest_checkpoint(workdir / "checkpoints"),
        problems=problems,
    )
