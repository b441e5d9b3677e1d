"""Table and plot of runs that differ in one setting."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.charts import plot_points
from ebm_jax.reporting.files import write_json, write_text
from ebm_jax.reporting.result_record import values_of
from ebm_jax.reporting.result_table import value_text
from ebm_jax.reporting.run_record import read_run
from ebm_jax.reporting.tables import VARIANTS, label, lower_is_better

BASELINE = "baseline"


def write_ablation(
    folder: Path, setting: str, task: str, runs: Sequence[tuple[str | None, Path, bool]]
) -> list[Path]:
    """Writes `ablation.json`, `ablation.md`, `ablation.png` and `ablation.pdf`.

    Args:
      folder: where to.
      setting: what the runs differ in.
      task: the evaluation compared.
      runs: (value, None for the baseline; workdir; whether it diverged), a run for every seed.

    Returns:
      The files a reader opens: table and plot.

    Raises:
      ConfigError: a run has no such evaluation, or none has a number.
    """
    found: dict[str | None, list] = {}
    for value, workdir, diverged in runs:
        found.setdefault(value, []).append(None if diverged else _read(workdir, task))
    rows = [_row(value, several) for value, several in found.items()]
    named = dict.fromkeys(name for row in rows for name in row["results"])
    variants = sorted(named, key=lambda n: VARIANTS.index(n) if n in VARIANTS else len(VARIANTS))
    if not variants:
        raise ConfigError(f"no run below '{folder}' has a number of task '{task}' to compare.")
    metric = next(row["metric"] for row in rows if row["metric"])
    write_json(
        folder / "ablation.json",
        {"setting": setting, "task": task, "metric": metric, "rows": rows},
    )
    plot = plot_points(
        folder / "ablation.png",
        [row["value"] for row in rows if row["value"] is not None],
        {
            label(name): [row["results"].get(name) for row in rows if row["value"] is not None]
            for name in variants
        },
        {
            f"{BASELINE}, {label(name)}": row["results"][name]["mean"]
            for row in rows
            if row["value"] is None
            for name in variants
            if name in row["results"] and name != "reconstruction"
        },
        xlabel=setting,
        ylabel=f"{metric} (lower is better)" if lower_is_better(metric) else metric,
    )
    return [write_text(folder / "ablation.md", _markdown(setting, metric, rows, variants)), plot]


def _read(workdir: Path, task: str) -> dict[str, Any]:
    record = read_run(workdir)
    evaluation = record.evaluations.get(task)
    if evaluation is None:
        raise ConfigError(f"Run '{workdir}' has no eval/{task}.json; add it to eval.tasks.")
    return {
        "metric": evaluation.get("metric") or task,
        "values": values_of(evaluation),
        "minutes": record.minutes,
        "seed": record.setting("seed"),
        "command": record.info.get("command"),
        "git_commit": record.info.get("git_commit"),
    }


def _row(value: str | None, runs: list[dict[str, Any] | None]) -> dict[str, Any]:
    """Means and standard deviations over the runs that did not diverge."""
    good = [run for run in runs if run]
    names = dict.fromkeys(name for run in good for name in run["values"])
    results = {}
    for name in names:
        values = [run["values"][name] for run in good if name in run["values"]]
        spread = statistics.stdev(values) if len(values) > 1 else None
        results[name] = {"mean": statistics.fmean(values), "std": spread, "runs": len(values)}
    minutes = [run["minutes"] for run in good if run["minutes"] is not None]
    return {
        "value": value,
        "metric": good[0]["metric"] if good else None,
        "results": results,
        "minutes": statistics.fmean(minutes) if minutes else None,
        "seeds": [run["seed"] for run in good],
        "diverged": len(runs) - len(good),
        "commands": [run["command"] for run in good],
        "git_commits": sorted({run["git_commit"] for run in good if run["git_commit"]}),
    }


def _markdown(setting: str, metric: str, rows: list[dict], variants: list[str]) -> str:
    head = [setting, *(f"{label(name)} ({metric})" for name in variants), "Minutes", "Diverged"]
    lines = ["| " + " | ".join(head) + " |", "|:--" + "|--:" * (len(head) - 1) + "|"]
    for row in rows:
        cells = [BASELINE if row["value"] is None else f"`{row['value']}`"]
        for name in variants:
            found = row["results"].get(name)
            cells.append(value_text(found["mean"], found["std"], found["runs"]) if found else "–")
        cells.append("–" if row["minutes"] is None else f"{row['minutes']:.3g}")
        cells.append(str(row["diverged"] or "–"))
        lines.append("| " + " | ".join(cells) + " |")
    if lower_is_better(metric):
        lines += ["", f"Lower is better ({metric})."]
    return "\n".join(lines) + "\n"
