"""Rows of `docs/results.json`, the one source of the README's and docs/results.md's tables."""

import json
import math
import os
import re
from pathlib import Path

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.tables import is_number

KEYS = (
    "task",
    "method",
    "config",
    "dataset",
    "variant",
    "metric",
    "value",
    "std",
    "seeds",
    "paper",
    "protocol",
    "command",
    "hardware",
    "minutes",
    "evaluation_minutes",
    "commit",
    "evaluation_commit",
    "date",
)
TEXTS = ("task", "method", "config", "dataset", "variant", "metric", "protocol", "command")
IDENTITY = ("task", "method", "config", "dataset", "variant", "metric")


def _is_finite(value) -> bool:
    return is_number(value) and math.isfinite(value)


def _fault(row) -> str | None:
    """What is wrong with one row, as the end of a sentence; None when nothing is."""
    if not isinstance(row, dict):
        return "is no JSON object"
    if set(row) != set(KEYS):
        missing, unknown = sorted(set(KEYS) - set(row)), sorted(set(row) - set(KEYS))
        return f"lacks {missing} and has the unknown keys {unknown}"
    for key in (*TEXTS, "commit"):
        if not isinstance(row[key], str) or not row[key].strip():
            return f"has {key}={row[key]!r}, which must be text"
    if row["hardware"] is not None and not isinstance(row["hardware"], str):
        return f"has hardware={row['hardware']!r}, which must be text or null"
    if not _is_finite(row["value"]):
        return f"has value={row['value']!r}, which must be a finite number"
    seeds = row["seeds"]
    if not isinstance(seeds, list) or not seeds or not all(type(seed) is int for seed in seeds):
        return f"has seeds={seeds!r}, which must be a list of whole numbers"
    if len(set(seeds)) != len(seeds):
        return f"has seeds={seeds}, of which some are the same"
    if row["std"] is None:
        if len(seeds) > 1:
            return f"has std=None from {len(seeds)} seeds, which must be a number from 0 up"
    elif not (_is_finite(row["std"]) and row["std"] >= 0):
        return f"has std={row['std']!r}, which must be a number from 0 up"
    if not (row["paper"] is None or isinstance(row["paper"], str) or _is_finite(row["paper"])):
        return f"has paper={row['paper']!r}, which must be a number, text or null"
    if not (row["evaluation_commit"] is None or isinstance(row["evaluation_commit"], str)):
        return f"has evaluation_commit={row['evaluation_commit']!r}, which must be text or null"
    for key in ("minutes", "evaluation_minutes"):
        if row[key] is not None and not (_is_finite(row[key]) and row[key] >= 0):
            return f"has {key}={row[key]!r}, which must be a number from 0 up or null"
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(row["date"])):
        return f"has date={row['date']!r}, which must be YYYY-MM-DD"
    return None


def validate(rows: list[dict]) -> None:
    """Checks rows of results.

    Args:
      rows: dicts with exactly the keys `KEYS`; `std` is a number with several seeds and may be one
        with a single seed (the protocol says over what), `paper`, `hardware`, `minutes` and what is
        said of the evaluation may be null.

    Raises:
      ConfigError: names the first row that is wrong, and how.
    """
    if not isinstance(rows, list):
        raise ConfigError(f"Results are a {type(rows).__name__}; they must be a JSON list of rows.")
    seen = set()
    for index, row in enumerate(rows):
        fault = _fault(row)
        if fault:
            raise ConfigError(f"Row {index} of the results {fault}.")
        identity = tuple(row[key] for key in IDENTITY)
        if identity in seen:
            raise ConfigError(f"Row {index} of the results repeats {', '.join(identity)}.")
        seen.add(identity)


def read_rows(path: str | os.PathLike) -> list[dict]:
    """Reads and checks a results file; a file that is not there yet has no rows.

    Raises:
      ConfigError: it is no JSON, or a row is wrong.
    """
    path = Path(path)
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"'{path}' is not JSON ({error}).") from None
    validate(rows)
    return rows


def write_rows(path: str | os.PathLike, rows: list[dict]) -> None:
    """Checks rows and writes them in a stable order, so that a new result is a small diff."""
    validate(rows)
    write_json(path, sorted(rows, key=lambda row: tuple(row[key] for key in IDENTITY)))
