"""Several runs on one self-contained page, as a command.

python -m ebm_jax.reporting.compare RUN1 RUN2 … [--out compare.html]
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ebm_jax.errors import ConfigError, UserError
from ebm_jax.reporting import comparison
from ebm_jax.reporting.files import write_text
from ebm_jax.reporting.page import inline, render_page
from ebm_jax.reporting.panels import draw_overlays
from ebm_jax.reporting.run_record import RunRecord, read_run


def read_runs(workdirs: Sequence[str | os.PathLike]) -> list[RunRecord]:
    """Reads the runs to compare, finished or not.

    Args:
      workdirs: the runs' folders, at least two.

    Returns:
      Their records, in the same order.

    Raises:
      ConfigError: fewer than two, one given twice, or one that is no run's folder.
    """
    if not workdirs:
        raise ConfigError("no runs are given; name the folders of at least two: compare RUN1 RUN2.")
    if len(workdirs) == 1:
        raise ConfigError(
            f"one run alone, '{workdirs[0]}', is given; name a second one to compare it with, or "
            "open its report.html."
        )
    seen: dict[Path, str | os.PathLike] = {}
    for workdir in workdirs:
        resolved = Path(workdir).resolve()
        if resolved in seen:
            raise ConfigError(
                f"'{workdir}' is the same run as '{seen[resolved]}'; name every run once."
            )
        seen[resolved] = workdir
    records = [read_run(workdir) for workdir in workdirs]
    for record in records:
        if not (record.info or record.metrics or record.problems):
            raise ConfigError(
                f"'{record.workdir}' is no run's folder, for it has neither config.json nor "
                "metrics.jsonl; give the --workdir of a run."
            )
    return records


def render_comparison(records: Sequence[RunRecord]) -> str:
    """The page as text.

    Args:
      records: what the runs' folders say.

    Returns:
      HTML without scripts or references to anything outside itself.
    """
    names = comparison.names_of([record.workdir for record in records])
    return render_page(
        "compare.html",
        title=f"Comparison of {len(records)} runs",
        runs=comparison.heads_of(records, names),
        problems=[
            f"{name}: {problem}"
            for record, name in zip(records, names, strict=True)
            for problem in record.problems
        ],
        numbers=comparison.number_tables(records, names),
        facts=comparison.facts_table(records),
        settings=comparison.settings_table(records),
        groups=[
            {
                "name": group.name,
                "title": group.title,
                "panels": [{"title": p.title, "source": inline(p.png)} for p in group.panels],
            }
            for group in draw_overlays([record.metrics for record in records])
        ],
        samples=comparison.sample_rows(records),
    )


def write_comparison(workdirs: Sequence[str | os.PathLike], out: str | os.PathLike) -> Path:
    """Writes a page that puts runs side by side.

    Args:
      workdirs: the runs' folders, at least two.
      out: the HTML file to write or replace; its folder is made when needed.

    Returns:
      Its path.

    Raises:
      ConfigError: see `read_runs`; or the file cannot be written.
    """
    records = read_runs(workdirs)
    if Path(out).is_dir():
        raise ConfigError(f"--out is '{out}', a folder; name a file in it, such as compare.html.")
    text = render_comparison(records)
    try:
        return write_text(out, text)
    except OSError as error:
        raise ConfigError(
            f"--out is '{out}', which cannot be written ({error.strerror or error}); name a file "
            "in a folder that you may write to."
        ) from error


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
      arguments: without the program's name; those of the process by default.

    Returns:
      The exit code: 0 done, 2 bad usage.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ebm_jax.reporting.compare", description="Puts runs side by side on a page."
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a run's folder")
    parser.add_argument("--out", default="compare.html", help="the page, by default compare.html")
    flags = parser.parse_args(arguments)
    try:
        path = write_comparison(flags.runs, flags.out)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"comparison {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
