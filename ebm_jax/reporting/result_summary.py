"""The README's short table of results: what samples of each model are worth, a row a model."""

from ebm_jax.reporting.result_rows import validate
from ebm_jax.reporting.result_table import number_text
from ebm_jax.reporting.tables import VARIANTS

_TASKS = ("fd_classifier", "fid")  # distances of samples from the data
_HEADER = ("Data", "Metric", "Model", "Config")
_NUMBERS = ("Base prior", "EBM prior", "Floor", "Seeds", "Minutes")


def render_summary(rows: list[dict]) -> str:
    """Distances of samples from the data as one Markdown table.

    Args:
      rows: as `validate` accepts them, in any order.

    Returns:
      A row for each data set, metric and config, by data set and then by the samples' distance;
      minutes are those of one training run. A sentence when there is no row.

    Raises:
      ConfigError: a row is wrong.
    """
    validate(rows)
    models: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        if row["task"] in _TASKS and row["variant"] in VARIANTS:
            key = row["dataset"], row["metric"], row["method"], row["config"]
            models.setdefault(key, {})[row["variant"]] = row
    if not models:
        return "No results are recorded yet.\n"
    header = "| " + " | ".join((*_HEADER, *_NUMBERS)) + " |"
    lines = [header, "|" + ":--|" * len(_HEADER) + "--:|" * len(_NUMBERS)]
    for key in sorted(models, key=lambda key: (*key[:2], _samples(models[key]))):
        dataset, metric, method, config = key
        found = models[key]
        first = next(iter(found.values()))
        minutes = "–" if first["minutes"] is None else f"{first['minutes']:.3g}"
        name = config.rpartition("/")[2].removesuffix(".py")
        values = [_value(found.get(variant)) for variant in VARIANTS]
        cells = [dataset, metric, method, f"[`{name}`]({config})", *values]
        cells += [str(len(first["seeds"])), minutes]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _samples(found: dict[str, dict]) -> float:
    """The distance of the model's samples: of the EBM prior where there is one."""
    shown = [found[v]["value"] for v in ("ebm_prior", "gaussian_prior") if v in found]
    return shown[0] if shown else float("inf")


def _value(row: dict | None) -> str:
    return "–" if row is None else number_text(row["value"], row["std"])
