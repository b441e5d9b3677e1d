"""The small table a finished run prints on the terminal."""

from collections.abc import Mapping
from pathlib import Path

from ebm_jax.reporting.tables import flatten, format_number, is_number

_NOT_RESULTS = ("settings", "step", "seed", "seconds", "num_samples", "num_reconstructions")


def summary_lines(results: Mapping[str, dict]) -> list[str]:
    """One aligned line per number: task, what, value.

    Args:
      results: {task: its JSON}.
    """
    rows = []
    for task, result in results.items():
        kept = {key: value for key, value in result.items() if key not in _NOT_RESULTS}
        for name, value in flatten(kept).items():
            if is_number(value):
                rows.append((task, name.removeprefix("results/"), format_number(value)))
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return [f"  {t:<{widths[0]}}  {n:<{widths[1]}}  {v:>{widths[2]}}" for t, n, v in rows]


def print_summary(results: Mapping[str, dict], workdir: str | Path) -> None:
    """Prints the results and where to look.

    Args:
      results: {task: its JSON}.
      workdir: the run's folder.
    """
    print("\nresults")
    for line in summary_lines(results):
        print(line)
    workdir = Path(workdir)
    print(f"\nreport   {workdir / 'report.html'}")
    print(f"figures  {workdir / 'eval'}")
    print(f"export   {workdir / 'export'}", flush=True)
