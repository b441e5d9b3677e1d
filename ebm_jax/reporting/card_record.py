"""From a finished run to what a card says of it; runs that others cannot repeat are refused."""

import ast
import re
from pathlib import Path
from typing import Any

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.data_licences import data_set
from ebm_jax.reporting.facts import status_of
from ebm_jax.reporting.result_record import FinishedRun, finished_run, values_of
from ebm_jax.reporting.run_command import command_text
from ebm_jax.reporting.run_record import RunRecord, read_run


def card_of(workdir: str | Path, limits: str | None = None) -> dict[str, Any]:
    """What a card says of a run, as JSON can hold it.

    Args:
      workdir: the run's folder.
      limits: what the model is not for; by default the card says what follows from its settings
        and numbers.

    Returns:
      config (file), sentence (the first of its docstring), commands (training, then evaluations of
      their own), commit, evaluation_commits, seed, steps, minutes (None where not logged),
      hardware, first_stage (name, step, sha256; or None), numbers (task, metric, variant, value,
      deviation, protocol), chain_steps (variant → Langevin steps) and limits.

    Raises:
      ConfigError: the run is not finished, is of an unknown or modified commit, of no config file,
        has no numbers, or is of data without a licence on record.
    """
    record = read_run(workdir)
    _check_finished(record)
    config = _config_file(record)
    file = config.partition(":")[0]
    data_set(record.config)
    tasks = [*(record.setting("eval.tasks") or []), *record.evaluations]
    measured = [t for t in dict.fromkeys(tasks) if values_of(record.evaluations.get(t, {}))]
    if not measured:
        raise ConfigError(f"Run '{workdir}' has no numbers in eval/*.json; evaluate it first.")
    runs = {task: finished_run(workdir, task, config) for task in measured}
    first = runs[measured[0]]
    evaluated = [run.evaluation_commit for run in runs.values() if run.evaluation_commit]
    return {
        "config": file,
        "sentence": _first_sentence(file),
        "commands": _commands(record, runs),
        "commit": first.commit,
        "evaluation_commits": [c for c in dict.fromkeys(evaluated) if c != first.commit],
        "seed": first.seed,
        "steps": record.setting("train.num_steps"),
        "minutes": record.minutes,
        "hardware": record.info.get("hardware"),
        "first_stage": _first_stage(record),
        "numbers": [number for task in measured for number in _numbers(task, runs[task])],
        "chain_steps": _chain_steps(record.evaluations.get("chains", {})),
        "limits": limits,
    }


def _check_finished(record: RunRecord) -> None:
    status = status_of(record)
    if status["word"] != "finished":
        raise ConfigError(
            f"Run '{record.workdir}' is not finished ({status['text'].rstrip('.')}); run its "
            "command again, which goes on."
        )


def _config_file(record: RunRecord) -> str:
    """The config file without the host's folders: `configs/X.py` or `configs/X.py:quick`."""
    used = re.search(r"--config(?:=|\s+)(\S+?\.py(?::\w+)?)(?=\s|$)", command_text(record.info))
    if not used:
        raise ConfigError(
            f"Run '{record.workdir}' was not started from a config file (its command names none), "
            "so no command repeats it."
        )
    return "/".join(Path(used[1]).parts[-2:])


def _first_sentence(file: str) -> str:
    """Of the config's docstring, on one line."""
    root = Path(__file__).resolve().parents[2]
    path = next((path for path in (Path(file), root / file) if path.is_file()), None)
    if path is None:
        raise ConfigError(f"There is no config '{file}' here; run this in the repository's root.")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    paragraph = " ".join(text.partition("\n\n")[0].split())
    found = re.match(r".+?\.(?=\s|$)", paragraph)
    if not found:
        raise ConfigError(f"'{path}' has no docstring that says what it is; write one sentence.")
    return found[0]


def _commands(record: RunRecord, runs: dict[str, FinishedRun]) -> list[str]:
    """Training, then evaluations that were not part of it; none names a folder of this machine."""
    trained = command_text(record.info)
    later = [run.command.removeprefix(trained).removeprefix(" && ") for run in runs.values()]
    commands = [
        re.sub(r"(--config[= ])/\S*/([^/\s]+/[^/\s]+\.py)", r"\1\2", command)
        for command in dict.fromkeys([trained, *filter(None, later)])
    ]
    for command in commands:
        if found := re.search(r"""(?:^|(?<=[\s='"(,]))/[^\s'",)]+""", command):
            raise ConfigError(
                f"The command of run '{record.workdir}' names '{found[0]}', which nobody else has; "
                "train with paths inside the repository."
            )
    return commands


def _first_stage(record: RunRecord) -> dict[str, Any] | None:
    taken = record.info.get("first_stage")
    if not taken:
        return None
    folder = Path(taken["folder"])
    name = folder.parent.name if folder.name == "export" else folder.name
    return {"name": name, "step": taken["step"], "sha256": taken["sha256"]}


def _numbers(task: str, run: FinishedRun) -> list[dict[str, Any]]:
    evaluation = run.evaluation
    return [
        {
            "task": task,
            "metric": evaluation.get("metric") or task,
            "variant": variant,
            "value": value,
            "deviation": evaluation.get("deviations", {}).get(variant),
            "protocol": evaluation.get("protocol") or "",
        }
        for variant, value in run.values.items()
    ]


def _chain_steps(evaluation: dict) -> dict[str, int]:
    chains = evaluation.get("chains") or {}
    return {f"{name}_chains": chain["steps"] for name, chain in chains.items() if "steps" in chain}
