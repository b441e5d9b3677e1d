"""Evaluation results as tables: which numbers stand together, and how they are printed."""

import math
import re
from typing import NamedTuple

VARIANTS = ("gaussian_prior", "ebm_prior", "reconstruction")
# What a task's JSON says about the numbers, shown beneath the tables and not in them.
CONTEXT = {
    "dataset": "data set",
    "num_samples": "samples",
    "num_reconstructions": "reconstructions",
    "step": "step",
    "seed": "seed",
    "seconds": "seconds",
}
ACRONYMS = {"ais", "aupr", "auprc", "auroc", "bpd", "ebm", "elbo", "fd", "fid", "fpr", "iwae"}
ACRONYMS |= {"kid", "kl", "lpips", "mala", "mcmc", "mse", "nll", "ood", "psnr", "ssim", "tpr"}
ACRONYMS |= {"ula", "vae"}
LOWER_IS_BETTER = ("FID", "fd_classifier", "mse")  # metrics; so are FIDs named by their protocol
LONGEST_LIST = 12
APART = (*CONTEXT, "task", "metric", "protocol", "figures", "explorer", "settings", "origin")


class Table(NamedTuple):
    """Cells are text, ready to print; the first column names the rows."""

    headers: list[str]
    rows: list[list[str]]
    highlight: bool = False  # the table of the three priors, which the page makes larger
    title: str = ""


class Result(NamedTuple):
    """One evaluation task: its tables, what they mean, and facts about the measurement."""

    task: str
    metric: str
    tables: list[Table]
    protocol: str
    context: list[tuple[str, str]]


def label(name: str) -> str:
    """A key as words: `gaussian_prior` → `Gaussian prior`, `noise/auroc` → `Noise, AUROC`."""
    words = name.replace("_", " ").replace("/", ", ")
    words = re.sub(r"\w+", lambda m: m[0].upper() if m[0] in ACRONYMS else m[0], words).strip()
    return words[:1].upper() + words[1:]


def lower_is_better(metric: str) -> bool:
    """Whether the lower of two numbers of a metric is the better one."""
    return metric in LOWER_IS_BETTER or re.match(r"fid\d", metric) is not None


def is_number(value) -> bool:
    """Whether a value from JSON is a number: NaN and infinities are, true and false are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _decimals(largest: float) -> int:
    """Decimals that leave four significant digits to a number of this size."""
    return min(max(3 - math.floor(math.log10(largest)), 0), 6) if largest > 0 else 1


def format_number(value, decimals: int | None = None) -> str:
    """A value for a table cell.

    Args:
      value: number, string, bool, None, or a list of them.
      decimals: for floats; by default as many as four significant digits need.

    Returns:
      Text; a dash for None, a count for a list too long for a cell.
    """
    if value is None:
        return "–"
    if isinstance(value, list | tuple):
        if len(value) > LONGEST_LIST:
            return f"{len(value)} values"
        return ", ".join(format_number(item) for item in value)
    if not is_number(value):
        return str(value)
    if isinstance(value, int):
        # Thin spaces part the thousands; four digits read well without.
        return f"{value:,}".replace(",", "\u202f") if abs(value) >= 10_000 else str(value)
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size and not 1e-3 <= size < 1e6:
        return f"{value:.3e}"
    return f"{value:.{_decimals(size) if decimals is None else decimals}f}"


def format_column(values: list) -> list[str]:
    """Formats numbers that are read against each other with the same decimals, so points align."""
    sizes = [abs(v) for v in values if isinstance(v, float) and math.isfinite(v) and v]
    if not sizes or max(sizes) >= 1e6:
        return [format_number(value) for value in values]
    decimals = _decimals(max(sizes))
    if min(sizes) < 10.0**-decimals:  # would print as zero
        return [format_number(value) for value in values]
    return [format_number(value, decimals) for value in values]


def _is_matrix(value) -> bool:
    """A dict of dicts of plain values, such as data set → metric → number."""
    return (
        isinstance(value, dict)
        and len(value) > 0
        and all(
            isinstance(row, dict) and row and not any(isinstance(c, dict) for c in row.values())
            for row in value.values()
        )
    )


def _matrix(title: str, value: dict) -> Table:
    columns = list(dict.fromkeys(key for row in value.values() for key in row))
    cells = [format_column([row.get(column) for row in value.values()]) for column in columns]
    rows = [[name, *(column[i] for column in cells)] for i, name in enumerate(value)]
    return Table(["", *map(label, columns)], rows, title=title)


def flatten(value: dict, separator: str = "/", prefix: str = "") -> dict:
    """Nested dicts as one dict with joined keys; an empty dict disappears."""
    flat = {}
    for key, item in value.items():
        name = f"{prefix}{key}"
        if isinstance(item, dict):
            flat.update(flatten(item, separator, name + separator))
        else:
            flat[name] = item
    return flat


def result_of(task: str, content: dict) -> Result:
    """Lays out the JSON of one evaluation task.

    Args:
      task: its name, the JSON file's stem.
      content: the JSON: the three priors' numbers, `results`, or any flat or nested numbers and
        strings.

    Returns:
      The three priors side by side first, where there are any; then dicts of dicts as matrices;
      then what remains, a row per number.
    """
    metric = str(content.get("metric") or task)
    tables, rest = [], {key: value for key, value in content.items() if key not in APART}
    if any(is_number(rest.get(variant)) for variant in VARIANTS):
        cells = format_column([rest.pop(variant, None) for variant in VARIANTS])
        tables.append(Table(["", *map(label, VARIANTS)], [[metric, *cells]], highlight=True))
    for key in [key for key, value in rest.items() if _is_matrix(value)]:
        tables.append(_matrix("" if key == "results" else label(key), rest.pop(key)))
    values = {**flatten(rest.pop("results", None) or {}), **flatten(rest)}
    shown = [(name, value) for name, value in values.items() if value not in (None, [], "")]
    if shown:
        rows = [[label(name), format_number(value)] for name, value in shown]
        tables.append(Table(["", "Value"], rows))
    context = [
        (words, format_number(content[key]))
        for key, words in CONTEXT.items()
        if content.get(key) is not None
    ]
    return Result(task, metric, tables, str(content.get("protocol") or ""), context)


def key_numbers(task: str, content: dict) -> dict[str, float]:
    """The numbers that a task is about.

    Args:
      task: its name.
      content: its JSON.

    Returns:
      Those of the three priors; where there are none, those under `results` (of several kinds, the
      ones of the task's own metric), or else any, by their joined keys.
    """
    numbers = {v: content[v] for v in VARIANTS if is_number(content.get(v))}
    if numbers:
        return numbers
    name = str(content.get("metric") or task)
    source = content.get("results")
    source = source if isinstance(source, dict) and source else content
    flat = flatten({k: v for k, v in source.items() if k not in APART})
    flat = {k: v for k, v in flat.items() if is_number(v)}
    own = {
        key.rpartition("/")[0] or key: value
        for key, value in flat.items()
        if key.rpartition("/")[2].lower() == name.lower()
    }
    return own or flat


def key_results(evaluations: dict[str, dict], limit: int = 8) -> list[dict]:
    """The numbers for the top of the page.

    Args:
      evaluations: task → its JSON.
      limit: how many at most.

    Returns:
      Dicts with `label`, `value` and `note` (the other priors' numbers), one per task.
    """
    cards = []
    for task, content in evaluations.items():
        name = str(content.get("metric") or task)
        numbers = key_numbers(task, content)
        if not numbers:
            continue
        if numbers.keys() <= set(VARIANTS):
            shown = "ebm_prior" if "ebm_prior" in numbers else next(iter(numbers))
            rest = [v for v in numbers if v != shown]
        else:
            shown, *rest = list(numbers)[:3]
        cards.append(
            {
                "label": name + (" ↓" if lower_is_better(name) else "") + f": {label(shown)}",
                "value": format_number(numbers[shown]),
                "note": " · ".join(f"{label(k)} {format_number(numbers[k])}" for k in rest),
            }
        )
    return cards[:limit]
