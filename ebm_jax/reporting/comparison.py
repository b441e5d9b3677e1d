"""What stands side by side on a page about several runs: numbers, facts, settings, samples."""

from collections.abc import Sequence
from pathlib import Path

from ebm_jax.reporting.facts import facts_of, setting_text, status_of
from ebm_jax.reporting.house_style import line_style
from ebm_jax.reporting.page import inline
from ebm_jax.reporting.run_record import RunRecord
from ebm_jax.reporting.samples import kinds_of
from ebm_jax.reporting.tables import (
    flatten,
    format_column,
    format_number,
    key_numbers,
    label,
    lower_is_better,
)

_OWN = "each_model's_own_prior"
_ROWS_SHOWN = 12  # of a task; the rest is folded
_DASH_ARRAYS = {"-": "", "--": "7 3", "-.": "7 2 2 2", ":": "2 2"}
# What two evaluations must share for their numbers to be comparable, in words.
_SAME = {
    "metric": "metric",
    "dataset": "data set",
    "num_samples": "number of samples",
    "num_reconstructions": "number of reconstructions",
    "classifier": "classifier",
}


def names_of(workdirs: Sequence[Path]) -> list[str]:
    """A name for each of different folders: the last part of its path, and as many before it as
    tell it from the others."""
    parts = [path.resolve().parts for path in workdirs]
    counts = [1] * len(parts)
    for _ in range(max(map(len, parts))):
        names = ["/".join(p[-count:]) for p, count in zip(parts, counts, strict=True)]
        clashing = [names.count(name) > 1 for name in names]
        counts = [count + clash for count, clash in zip(counts, clashing, strict=True)]
    return names


def heads_of(records: Sequence[RunRecord], names: Sequence[str]) -> list[dict]:
    """Each run's name, status and line in the curves."""
    heads = []
    for index, (record, name) in enumerate(zip(records, names, strict=True)):
        style = line_style(index)
        heads.append(
            {
                "name": name,
                "status": status_of(record),
                "colour": style["color"],
                "dashes": _DASH_ARRAYS[style["linestyle"]],
            }
        )
    return heads


def facts_table(records: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    """Rows (fact, a cell per run) of what any run tells about itself."""
    facts = []
    for record in records:
        commit = record.info.get("git_commit")
        facts.append(facts_of(record) | ({"Git commit": str(commit)[:10]} if commit else {}))
    names = dict.fromkeys(name for each in facts for name in each)
    return [(name, [each.get(name, "–") for each in facts]) for name in names]


def settings_table(records: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    """Rows (dotted name, a cell per run) of the settings in which runs with a config differ."""
    configs = [
        {key: setting_text(value) for key, value in flatten(record.config, ".").items()}
        for record in records
    ]
    known = [config for config in configs if config]
    keys = dict.fromkeys(key for config in known for key in config)
    return [
        (key, [config.get(key, "–") for config in configs])
        for key in keys
        if len({config.get(key) for config in known}) > 1
    ]


def number_tables(records: Sequence[RunRecord], names: Sequence[str]) -> list[dict]:
    """A table of key numbers for every task that gave any run some.

    Args:
      records: the runs.
      names: theirs, for the notes.

    Returns:
      Dicts: `task`; `metric`; `lower`, whether a lower number is better; `rows` and `more`, the
      rest of a long table, of (variant, [(text, whether it is the best) per run]); `note`, why
      numbers are not comparable, or empty; `protocols`, (names of runs, protocol) where they
      differ, else one without names.
    """
    tasks = dict.fromkeys(task for record in records for task in record.evaluations)
    tables = [_number_table(task, records, names) for task in tasks]
    return [table for table in tables if table["rows"]]


def _number_table(task: str, records: Sequence[RunRecord], names: Sequence[str]) -> dict:
    contents = [record.evaluations.get(task, {}) for record in records]
    numbers = [key_numbers(task, content) for content in contents]
    measured = [content for content, found in zip(contents, numbers, strict=True) if found]
    metric = next((str(content["metric"]) for content in measured if content.get("metric")), task)
    note = _incomparable(measured)
    lower = lower_is_better(metric)
    numbers, base = _with_own_prior(contents, numbers)
    rows = []
    for variant in dict.fromkeys(variant for found in numbers for variant in found):
        values = [found.get(variant) for found in numbers]
        present = [value for value in values if value is not None]
        judged = lower and not note and len(present) > 1 and variant != base
        best = min(present) if judged and min(present) < max(present) else None
        texts = [format_number(value) for value in values] if note else format_column(values)
        rows.append(
            (
                label(variant),
                [
                    (text, best is not None and value == best)
                    for text, value in zip(texts, values, strict=True)
                ],
            )
        )
    protocols: dict[str, list[str]] = {}
    for content, found, name in zip(contents, numbers, names, strict=True):
        if found and content.get("protocol"):
            protocols.setdefault(str(content["protocol"]), []).append(name)
    return {
        "task": task,
        "metric": metric,
        "lower": lower,
        "rows": rows[:_ROWS_SHOWN],
        "more": rows[_ROWS_SHOWN:],
        "note": note,
        "protocols": [
            (", ".join(measured_by) if len(protocols) > 1 else "", text)
            for text, measured_by in protocols.items()
        ],
    }


def _with_own_prior(
    contents: Sequence[dict], numbers: Sequence[dict]
) -> tuple[list[dict], str | None]:
    """Models with and without an EBM prior compare by the prior that each of them samples from.

    Returns:
      The numbers, before others that of each model's own prior, and the variant that says nothing
      about which model is better: the base prior, which an EBM's samples are not of. Where all or
      none have an EBM prior, the numbers as they are and None.
    """
    tilted = ["ebm_prior" in content for content in contents]  # null where it is not finite
    plain = ["gaussian_prior" in content for content in contents]
    if not any(tilted) or not any(p and not t for p, t in zip(plain, tilted, strict=True)):
        return list(numbers), None
    extended = []
    for found, energy in zip(numbers, tilted, strict=True):
        own = found.get("ebm_prior" if energy else "gaussian_prior")
        extended.append(found if own is None else {_OWN: own} | found)
    return extended, "gaussian_prior"


def _incomparable(contents: Sequence[dict]) -> str:
    """What evaluations of one task differ in, as a sentence; empty where they compare."""
    for key, words in _SAME.items():
        values = dict.fromkeys(format_number(content.get(key)) for content in contents)
        if len(values) > 1:
            return f"Not comparable: the evaluations differ in the {words} ({', '.join(values)})."
    return ""


def sample_rows(records: Sequence[RunRecord]) -> list[dict]:
    """Of every kind of samples that any run has, each run's latest grid, or None."""
    kinds = kinds_of({kind for record in records for kind in record.samples})
    rows = []
    for kind in kinds:
        grids = []
        for record in records:
            if kind not in record.samples:
                grids.append(None)
                continue
            step, path = record.samples[kind][-1]
            words = None if step is None else format_number(step)
            grids.append({"source": inline(path.read_bytes()), "step": words})
        rows.append({"title": label(kind), "grids": grids})
    return rows
