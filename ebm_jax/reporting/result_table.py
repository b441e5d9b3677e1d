"""The tables of docs/results.md, rendered from the rows of `docs/results.json`."""

import math

from ebm_jax.reporting.result_rows import validate
from ebm_jax.reporting.tables import VARIANTS, format_number, label

LEFT_OUT = " without "  # in the name of a training split without a class
HEADER = ("Method", "Variant", "Metric", "Ours", "Paper", "Hardware", "Minutes")


def _cell(text) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ")


def value_text(value: float, std: float | None, seeds: int) -> str:
    """`12.3 ± 0.4 (3 seeds)`: as many decimals as two digits of the std, or four digits, need."""
    return f"{number_text(value, std)} ({seeds} seed{'s' if seeds > 1 else ''})"


def number_text(value: float, std: float | None) -> str:
    """`value_text` without the seeds."""
    if not std:
        return format_number(value) + " ± 0" * (std == 0)
    decimals = min(max(1 - math.floor(math.log10(std)), 0), 6)
    return f"{value:.{decimals}f} ± {std:.{decimals}f}"


def _order(row: dict) -> tuple:
    known = row["variant"] in VARIANTS
    rank = VARIANTS.index(row["variant"]) if known else len(VARIANTS)
    return row["method"], row["config"], row["task"], row["metric"], rank, row["variant"]


def _table(rows: list[dict], notes: list[str]) -> list[str]:
    """One data set's table; `notes` are the protocols by number, to which new ones are added."""
    lines = ["| " + " | ".join(HEADER) + " |", "|:--|:--|:--|--:|--:|:--|--:|"]
    above = None
    for row in sorted(rows, key=_order):
        if row["protocol"] not in notes:
            notes.append(row["protocol"])
        method = (row["method"], row["config"])
        cells = [
            # The name stands once, above its variants.
            "" if method == above else f"{_cell(row['method'])}<br>`{_cell(row['config'])}`",
            _cell(label(row["variant"])),
            f"{_cell(row['metric'])} <sup>{notes.index(row['protocol']) + 1}</sup>",
            value_text(row["value"], row["std"], len(row["seeds"])),
            _cell(format_number(row["paper"])),
            _cell(format_number(row["hardware"])),
            _minutes(row),
        ]
        above = method
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _left_out_table(rows: list[dict], notes: list[str]) -> list[str]:
    """Models that were trained without one class or another: a column per class."""
    columns = sorted({row["dataset"].rpartition(LEFT_OUT)[2] for row in rows})
    lines = ["| " + " | ".join(["Method", "Score", "Metric", *columns]) + " |"]
    lines.append("|:--|:--|:--|" + "--:|" * len(columns))
    groups: dict[tuple, dict[str, dict]] = {}
    for row in sorted(rows, key=_order):
        if row["protocol"] not in notes:
            notes.append(row["protocol"])
        key = (row["method"], row["config"], row["variant"], row["metric"], row["protocol"])
        groups.setdefault(key, {})[row["dataset"].rpartition(LEFT_OUT)[2]] = row
    above = None
    for (method, config, variant, metric, protocol), found in groups.items():
        name = "" if (method, config) == above else f"{_cell(method)}<br>`{_cell(config)}`"
        above = (method, config)
        measure = f"{_cell(metric)} <sup>{notes.index(protocol) + 1}</sup>"
        ours = [found.get(column) for column in columns]
        values = [
            "–"
            if row is None
            else number_text(row["value"], row["std"])  # its command has the seeds
            for row in ours
        ]
        lines.append("| " + " | ".join([name, _cell(label(variant)), measure, *values]) + " |")
        papers = [None if row is None else row["paper"] for row in ours]
        if any(paper is not None for paper in papers):
            cells = [_cell(format_number(paper)) for paper in papers]
            told = f"{_cell(label(variant))}, the paper's"
            lines.append("| " + " | ".join(["", told, _cell(metric), *cells]) + " |")
    return lines


def _minutes(row: dict) -> str:
    trained, evaluated = (
        "–" if row[key] is None else f"{row[key]:.3g}" for key in ("minutes", "evaluation_minutes")
    )
    return trained if row["evaluation_minutes"] is None else f"{trained} + {evaluated}"


def _short(commits: str) -> str:
    return ", ".join(commit[:10] for commit in commits.split(", "))


def _commits(row: dict) -> str:
    text = f"commit {_short(row['commit'])}"
    if row["evaluation_commit"] in (None, row["commit"]):
        return text
    return f"{text}, evaluated at {_short(row['evaluation_commit'])}"


def _heading(row: dict) -> str:
    """What a row's table is of: its data set, or that of which one class was left out."""
    name, without, _ = row["dataset"].rpartition(LEFT_OUT)
    return name + without if without else row["dataset"]


def render(rows: list[dict]) -> str:
    """Rows of results as Markdown.

    Args:
      rows: as `validate` accepts them, in any order.

    Returns:
      A table per data set, then the numbered protocols and the commands with their seeds, commit
      and date; a sentence when there is no row.

    Raises:
      ConfigError: a row is wrong.
    """
    validate(rows)
    if not rows:
        return "No results are recorded yet.\n"
    lines: list[str] = []
    notes: list[str] = []
    for heading in sorted({_heading(row) for row in rows}):
        mine = [row for row in rows if _heading(row) == heading]
        table = _left_out_table if heading.endswith(LEFT_OUT) else _table
        title = f"{heading}one class" if table is _left_out_table else heading
        lines += [f"**{_cell(title)}**", "", *table(mine, notes), ""]
    lines += [
        "Mean ± standard deviation over seeds, or over what the note says; minutes are those of "
        "one training run, then of the task.",
        "",
    ]
    lines += ["How each metric was measured:", ""]
    lines += [f"{number}. {' '.join(note.split())}" for number, note in enumerate(notes, 1)]
    lines += ["", "Commands:", ""]
    commands = {
        f"- `{row['command']}` (seed{'s' if len(row['seeds']) > 1 else ''} "
        f"{', '.join(map(str, row['seeds']))}; {_commits(row)}; {row['date']})": None
        for row in sorted(rows, key=lambda row: (row["dataset"], *_order(row)))
    }
    return "\n".join([*lines, *commands]) + "\n"
