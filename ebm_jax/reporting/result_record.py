"""From finished runs to rows of results; runs that cannot be one result are refused."""

import re
import statistics
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.run_command import command_text
from ebm_jax.reporting.run_record import RunRecord, read_run
from ebm_jax.reporting.tables import VARIANTS, is_number

SAME = ("metric", "dataset", "protocol", "num_samples")


class FinishedRun(NamedTuple):
    record: RunRecord
    evaluation: dict  # eval/<task>.json
    seed: int
    command: str
    commit: str
    evaluation_commit: str | None  # None where the evaluation did not keep it
    values: dict[str, float]  # variant → number


def values_of(evaluation: dict) -> dict[str, float]:
    """The numbers of an evaluation: those of the three priors, and those under `results`."""
    results = evaluation.get("results")
    named = {variant: evaluation.get(variant) for variant in VARIANTS}
    named |= results if isinstance(results, dict) else {}
    return {variant: float(value) for variant, value in named.items() if is_number(value)}


def _commands(record: RunRecord, task: str, evaluation: dict) -> str:
    """The run's command, and the evaluation's where it is a second one."""
    trained = command_text(record.info)
    evaluated = command_text(evaluation.get("origin") or {})
    if not evaluated and task not in (record.setting("eval.tasks") or [task]):
        evaluated = f"{trained} --mode eval --config.eval.tasks=\"('{task}',)\""
    return trained if evaluated in ("", trained) else f"{trained} && {evaluated}"


def _clean(commit: str, what: str) -> str:
    """The commit; ConfigError unless it is one, without changes."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        raise ConfigError(
            f"{what} has git_commit '{commit}'; run from a clean commit so that the result can be "
            "traced."
        )
    return commit


def finished_run(workdir: str | Path, task: str, config: str) -> FinishedRun:
    """Reads a run and checks that it is whole and traceable.

    Args:
      workdir: the run's folder.
      task: the evaluation task to read.
      config: the config file that the result is to be listed under.

    Returns:
      The run and its numbers.

    Raises:
      ConfigError: it is unfinished, of another config, from an unknown or modified commit,
        evaluated in another folder, or without numbers.
    """
    record = read_run(workdir)
    evaluation, total = record.evaluations.get(task), record.setting("train.num_steps")
    if evaluation is None:
        raise ConfigError(f"Run '{workdir}' has no eval/{task}.json; evaluate it to the end first.")
    if evaluation.get("step") != total or total is None:
        raise ConfigError(
            f"Run '{workdir}' was evaluated at step {evaluation.get('step')} but "
            f"train.num_steps is {total}; only a finished run is a result."
        )
    command = _commands(record, task, evaluation)
    folders = dict.fromkeys(re.findall(r"--workdir(?:=|\s+)(\S+)", command))
    if len({Path(folder).name for folder in folders}) > 1:
        raise ConfigError(
            f"Run '{workdir}' was trained and evaluated in folders of other names "
            f"({', '.join(folders)}), so its commands do not repeat it; evaluate it where it was "
            "trained."
        )
    commit = _clean(record.info.get("git_commit") or "unknown", f"Run '{workdir}'")
    origin = evaluation.get("origin")
    evaluated_at = origin and _clean(origin["git_commit"], f"The evaluation of run '{workdir}'")
    used = re.search(r"--config(?:=|\s+)(\S+)", command)
    if used and not f"/{used[1]}".endswith("/" + config.removeprefix("./")):
        raise ConfigError(f"Run '{workdir}' used the config '{used[1]}', not '{config}'.")
    if record.info.get("changes"):
        raise ConfigError(
            f"Run '{workdir}' changed settings on its way (see `changes` in config.json), so no "
            "command repeats it; train it again in a new workdir."
        )
    commits = [entry["git_commit"] for entry in record.info.get("commits", [])]
    if len(commits) > 1:
        raise ConfigError(
            f"Run '{workdir}' was trained by the code of several commits ({', '.join(commits)}), "
            "so none of them repeats it; train it again in a new workdir."
        )
    seed = record.setting("seed")
    if type(seed) is not int:
        raise ConfigError(f"Run '{workdir}' has seed {seed!r} in config.json; it must be a number.")
    values = values_of(evaluation)
    if not values:
        raise ConfigError(f"Run '{workdir}' has no finite number in eval/{task}.json.")
    return FinishedRun(record, evaluation, seed, command, commit, evaluated_at, values)


def _first_difference(one, other, name: str = "", *, shared: bool = False) -> str | None:
    """The dotted name of the first setting, with `shared` of those in both, that differs."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            inner = f"{name}.{key}" if name else key
            if key not in one or key not in other:
                if shared:
                    continue
                return inner
            found = _first_difference(one[key], other[key], inner, shared=shared)
            if found:
                return found
        return None
    return None if one == other else name


def _but_seed(run: FinishedRun) -> dict:
    """A run's settings, without its seed; its first stage by what it is, not where it was."""
    settings = {key: value for key, value in run.record.config.items() if key != "seed"}
    first_stage = run.record.info.get("first_stage")
    if first_stage:
        settings["train"] = settings["train"] | {"first_stage": first_stage["sha256"]}
    return settings


def _check_comparable(runs: list[FinishedRun], several_commits: bool) -> None:
    first = runs[0]
    where = first.record.workdir
    for run in runs[1:]:
        here = run.record.workdir
        setting = _first_difference(_but_seed(first), _but_seed(run), shared=several_commits)
        if setting:
            raise ConfigError(f"Runs '{where}' and '{here}' differ in {setting}, not only in seed.")
        for what, one, other in (
            ("are from", first.commit, run.commit),
            ("were evaluated at", first.evaluation_commit, run.evaluation_commit),
        ):
            if one != other and not several_commits:
                raise ConfigError(
                    f"Runs '{where}' and '{here}' {what} different commits, {str(one)[:10]} and "
                    f"{str(other)[:10]}; if none between changed what is measured, give "
                    "--several_commits."
                )
        for key in SAME:
            if run.evaluation.get(key) != first.evaluation.get(key):
                raise ConfigError(
                    f"Runs '{where}' and '{here}' were evaluated with different {key}: "
                    f"{first.evaluation.get(key)!r} and {run.evaluation.get(key)!r}."
                )
        first_settings, settings = first.evaluation.get("settings"), run.evaluation.get("settings")
        setting = _first_difference(first_settings, settings, "settings")
        if setting:
            raise ConfigError(
                f"Runs '{where}' and '{here}' were evaluated with different {setting}."
            )
        if run.values.keys() != first.values.keys():
            raise ConfigError(
                f"Runs '{where}' and '{here}' have different numbers: {sorted(first.values)} and "
                f"{sorted(run.values)}."
            )
        if run.record.info.get("hardware") != first.record.info.get("hardware"):
            raise ConfigError(f"Runs '{where}' and '{here}' are from different hardware.")
    seeds = [run.seed for run in runs]
    if len(set(seeds)) != len(seeds):
        raise ConfigError(f"The runs have seeds {seeds}; give each seed once.")


def rows_of(
    workdirs: list[str | Path], task: str, config: str, *, several_commits: bool = False
) -> list[dict]:
    """The rows of results that runs of one config amount to.

    Args:
      workdirs: the runs' folders, one per seed.
      task: the evaluation task.
      config: the config file, as the README is to name it.
      several_commits: whether runs may be of different commits, between which nothing changed that
        is measured: the caller's word. Rows then name all of them, in the order of the seeds, and
        settings that one of them does not know yet may be missing.

    Returns:
      One row per numeric variant: mean over runs, standard deviation over runs (ddof 1; of one run
      that of the evaluation itself, or null), mean minutes of a run and of its evaluation (null
      unless all are logged); `paper` is null.

    Raises:
      ConfigError: a run is unfinished or untraceable, or the runs differ in more than their seed.
    """
    runs = sorted((finished_run(path, task, config) for path in workdirs), key=lambda r: r.seed)
    _check_comparable(runs, several_commits)
    first = runs[0]
    minutes = _mean([run.record.minutes for run in runs])
    seconds = _mean([run.evaluation.get("seconds") for run in runs])
    rows = []
    within = first.evaluation.get("deviations", {})  # e.g. over sets of samples
    for variant in first.values:
        values = [run.values[variant] for run in runs]
        rows.append(
            {
                "task": task,
                "method": first.record.setting("method.name"),
                "config": config,
                "dataset": first.evaluation.get("dataset") or first.record.setting("data.name"),
                "variant": variant,
                "metric": first.evaluation.get("metric") or task,
                "value": statistics.fmean(values),
                "std": statistics.stdev(values) if len(values) > 1 else within.get(variant),
                "seeds": [run.seed for run in runs],
                "paper": None,
                "protocol": first.evaluation.get("protocol"),
                "command": first.command,
                "hardware": first.record.info.get("hardware"),
                "minutes": minutes,
                "evaluation_minutes": None if seconds is None else seconds / 60,
                "commit": _all_of(run.commit for run in runs),
                "evaluation_commit": _all_of(run.evaluation_commit for run in runs),
                "date": datetime.now(UTC).strftime("%Y-%m-%d"),
            }
        )
    return rows


def _all_of(commits: Iterable[str | None]) -> str | None:
    """One commit where all are the same, else `a, b` in order; None where one is."""
    found = list(dict.fromkeys(commits))
    return None if None in found else ", ".join(found)


def _mean(values: list[float | None]) -> float | None:
    """Of all, or None where one is missing."""
    return None if None in values else statistics.fmean(values)


def merge(rows: list[dict], new: list[dict]) -> list[dict]:
    """Puts new rows in the place of the old ones of the same task, method, config and data set.

    Args:
      rows: what is recorded.
      new: rows from `rows_of`.

    Returns:
      All rows. A variant that is no longer measured goes too; the paper's number of one that is
      stays, unless the new row brings its own.
    """

    def subject(row):
        return row["task"], row["method"], row["config"], row["dataset"]

    paper = {(subject(row), row["variant"], row["metric"]): row["paper"] for row in rows}
    subjects = {subject(row) for row in new}
    kept = [row for row in rows if subject(row) not in subjects]
    return kept + [
        {**row, "paper": paper.get((subject(row), row["variant"], row["metric"]))}
        if row["paper"] is None
        else row
        for row in new
    ]
