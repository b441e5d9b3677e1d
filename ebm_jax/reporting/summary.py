"""The small table a finished run prints on the terminal."""

import sys
from collections.abc import Mapping
from pathlib import Path

from ebm_jax.reporting.tables import VARIANTS, format_number, is_number


def summary_lines(results: Mapping[str, dict]) -> list[str]:
    """One aligned line per result: task, variant, metric, value.

    Args:
      results: {task: its JSON}.
    """
    rows = []
    for task, result in results.items():
        named = {variant: result.get(variant) for variant in VARIANTS} | result.get("results", {})
        for name, value in named.items():
            if is_number(value):
                rows.append((task, name, str(result.get("metric", "")), format_number(value)))
    if not rows:
        return []
    a, b, c, d = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [f"  {t:<{a}}  {n:<{b}}  {m:<{c}}  {v:>{d}}" for t, n, m, v in rows]


def print_summary(results: Mapping[str, dict], workdir: str | Path, num_steps: int) -> None:
    """Prints the results and where to look.

    Args:
      results: {task: its JSON}, all of one checkpoint; empty where another process has it.
      workdir: the run's folder.
      num_steps: of training, when the run is finished.
    """
    step = max((result["step"] for result in results.values() if result), default=num_steps)
    print("\nresults" + (f" of step {step} of {num_steps}" if step < num_steps else ""))
    for line in summary_lines(results):
        print(line)
    workdir = Path(workdir)
    print(f"\nreport   {workdir / 'report.html'}")
    print(f"figures  {workdir / 'eval'}")
    if step >= num_steps and (workdir / "export").is_dir():
        print(f"export   {workdir / 'export'}")
    sys.stdout.flush()
