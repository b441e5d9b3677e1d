"""The tables of `docs/results.md` and the README from `docs/results.json`, as a command.

    python -m ebm_jax.reporting.results record --task fd_classifier --config configs/X.py RUN1 RUN2
    python -m ebm_jax.reporting.results render [--check]

`record` reads finished runs, one per seed, into the results file; `render` makes the tables of it.
"""

import argparse
import os
import sys
from pathlib import Path

from ebm_jax.errors import ConfigError, UserError
from ebm_jax.reporting.files import write_text
from ebm_jax.reporting.marked_page import page_with
from ebm_jax.reporting.result_record import merge, rows_of
from ebm_jax.reporting.result_rows import KEYS, read_rows, validate, write_rows
from ebm_jax.reporting.result_summary import render_summary
from ebm_jax.reporting.result_table import render

__all__ = ["KEYS", "main", "record", "render", "render_summary", "validate"]


def record(
    task: str,
    config: str,
    workdirs: list[str],
    results: str | os.PathLike,
    paper: dict[str, float] | None = None,
    *,
    several_commits: bool = False,
) -> list[dict]:
    """Adds the rows of finished runs to a results file, in the place of older ones.

    Args:
      task: the evaluation task, as in `eval/<task>.json`.
      config: the config file, as the README is to name it.
      workdirs: the runs' folders, one per seed.
      results: the results file, made when needed.
      paper: variant → the paper's number; without one the number recorded before stays.
      several_commits: see `rows_of`.

    Returns:
      The new rows.

    Raises:
      ConfigError: a run is unfinished, or the runs are not one result.
    """
    new = rows_of(workdirs, task, config, several_commits=several_commits)
    unknown = sorted(set(paper or {}) - {row["variant"] for row in new})
    if unknown:
        variants = [row["variant"] for row in new]
        raise ConfigError(f"--paper names the variants {unknown}; the runs have {variants}.")
    new = [{**row, "paper": (paper or {}).get(row["variant"])} for row in new]
    write_rows(results, merge(read_rows(results), new))
    return new


def _paper(text: str) -> tuple[str, float]:
    variant, _, value = text.partition("=")
    return variant, float(value)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ebm_jax.reporting.results")
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("render", help="rewrite the tables")
    draw.add_argument("--readme", default="README.md", help="gets a row for each model")
    draw.add_argument("--page", default="docs/results.md", help="gets everything")
    draw.add_argument("--check", action="store_true", help="exit 1 when a page differs")
    add = commands.add_parser("record", help="add the results of finished runs")
    add.add_argument("--task", required=True)
    add.add_argument("--config", required=True)
    add.add_argument("--paper", type=_paper, action="append", metavar="VARIANT=VALUE", default=[])
    add.add_argument(
        "--several_commits",
        action="store_true",
        help="the runs are of several commits, between which nothing changed that is measured",
    )
    add.add_argument("workdirs", nargs="+", metavar="RUN")
    for command in (draw, add):
        command.add_argument("--results", default="docs/results.json")
    return parser


def _render(path: Path, table: str, results: Path, check: bool) -> int:
    if not path.exists():
        raise ConfigError(f"There is no page '{path}'; run this in the repository's root.")
    text = path.read_text(encoding="utf-8")
    wanted = page_with(text, table, "results")
    if text == wanted:
        return 0
    if check:
        print(
            f"The results in {path} differ from {results}; run "
            "`python -m ebm_jax.reporting.results render`.",
            file=sys.stderr,
        )
        return 1
    write_text(path, wanted)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
      arguments: without the program's name; those of the process by default.

    Returns:
      The exit code: 0 done, 1 `--check` found a difference, 2 bad usage.
    """
    flags = _parser().parse_args(arguments)
    try:
        if flags.command == "render":
            results, rows = Path(flags.results), read_rows(flags.results)
            pages = (Path(flags.readme), render_summary(rows)), (Path(flags.page), render(rows))
            return max([_render(*page, results, flags.check) for page in pages])
        rows = record(
            *(flags.task, flags.config, flags.workdirs, flags.results, dict(flags.paper)),
            several_commits=flags.several_commits,
        )
        print(f"Recorded {len(rows)} rows in {flags.results}.")
        return 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
