"""Metric curves of a report: which metrics share a panel, and which panels a section."""

import re
from typing import NamedTuple

import numpy as np

from ebm_jax.reporting.curves import draw_curves, running_mean
from ebm_jax.reporting.house_style import render

# Namespace → heading, in the order of the page; every other metric goes under the last.
GROUPS = {
    "loss": "Losses",
    "energy": "Energies",
    "prior": "Prior sampling",
    "posterior": "Posterior sampling",
    "": "Other metrics",
}

Curves = dict[str, tuple[np.ndarray, np.ndarray]]  # name → (steps [K], values [K])


class Panel(NamedTuple):
    title: str
    png: bytes


class Group(NamedTuple):
    name: str
    title: str
    panels: list[Panel]


def panel_of(metric: str) -> str:
    """The panel that a metric is drawn in: both signs of an energy, and all layers, share one."""
    shared = re.sub(r"(positive|negative)", "positive, negative", metric)
    return re.sub(r"[_/](?:layer_?)?\d+$", "", shared)


def series_of(rows: list[dict]) -> Curves:
    """Metrics as curves.

    Args:
      rows: metrics.jsonl; metrics may be missing in some rows, and null.

    Returns:
      name → (steps [K], values [K]) sorted by step, null as NaN, and so what is told of a chain
      before there is one; metrics that are never a number are left out.
    """
    columns: dict[str, list[tuple[int, float]]] = {}
    for row in sorted(rows, key=lambda row: row["step"]):
        # A chain that ran has finite parts, or its update is not among those averaged.
        idle = {name.removesuffix("/finite") for name in row if name.endswith("/finite")}
        idle = {chain for chain in idle if row[f"{chain}/finite"] == 0}
        for name, value in row.items():
            if name.rpartition("/")[0] in idle:
                value = None
            numeric = isinstance(value, int | float) and not isinstance(value, bool)
            if name != "step" and (numeric or value is None):
                columns.setdefault(name, []).append(
                    (row["step"], np.nan if value is None else value)
                )
    curves = {name: np.asarray(points, float).T for name, points in columns.items()}
    return {name: (c[0], c[1]) for name, c in curves.items() if np.isfinite(c[1]).any()}


def _wants_log(curves: list[np.ndarray]) -> bool:
    """Whether positive curves run over two decades; their means do, since noise near 0 is none."""
    finite = np.concatenate([values[np.isfinite(values)] for values in curves])
    if not (finite > 0).all():
        return False
    means = [running_mean(v, (len(v) // 20) | 1) for v in curves if np.isfinite(v).any()]
    return max(np.nanmax(m) for m in means) > 100 * min(np.nanmin(m) for m in means)


def _draw(title: str, curves: Curves) -> Panel:
    # Names in the legend drop what the title says already.
    common = title.split("/")[0] + "/"
    named = {name.removeprefix(common): curve for name, curve in curves.items()}
    if len(named) == 1:
        named = {"": next(iter(named.values()))}
    return _panel(title, named)


def _panel(title: str, curves: Curves, legend: bool = True) -> Panel:
    longest = max(len(steps) for steps, _ in curves.values())
    logy = _wants_log([values for _, values in curves.values()])
    smooth = longest // 60 if longest >= 300 else 1
    figure = draw_curves(curves, logy=logy, smooth=smooth, size=(3.6, 2.4), legend=legend)
    return Panel(title, render(figure))


def draw_groups(rows: list[dict]) -> list[Group]:
    """Draws every metric of a run.

    Args:
      rows: metrics.jsonl.

    Returns:
      Sections in the order of GROUPS with their panels by name; empty ones are left out.
    """
    panels: dict[str, dict] = {}
    for name, curve in sorted(series_of(rows).items()):
        panels.setdefault(panel_of(name), {})[name] = curve
    return _grouped({title: _draw(title, curves) for title, curves in panels.items()})


def draw_overlays(runs: list[list[dict]]) -> list[Group]:
    """Draws every metric of several runs over each other, the n-th run in the n-th line style.

    Args:
      runs: metrics.jsonl of each.

    Returns:
      Sections in the order of GROUPS with a panel, without a legend, for every metric of any run.
    """
    found = [series_of(rows) for rows in runs]
    empty = (np.zeros(0), np.zeros(0))
    panels = {}
    for name in sorted({name for curves in found for name in curves}):
        curves = {str(i): series.get(name, empty) for i, series in enumerate(found)}
        panels[name] = _panel(name, curves, legend=False)
    return _grouped(panels)


def _grouped(panels: dict[str, Panel]) -> list[Group]:
    groups = []
    for group, heading in GROUPS.items():
        mine = [
            panel
            for title, panel in panels.items()
            if (title.split("/")[0] if title.split("/")[0] in GROUPS else "") == group
        ]
        if mine:
            groups.append(Group(group, heading, mine))
    return groups
