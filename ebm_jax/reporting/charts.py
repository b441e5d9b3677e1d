"""Charts of what is no curve of training, in the house style: bars, points, panels."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator
from sklearn.metrics import precision_recall_curve

from ebm_jax.reporting.curves import band_of, draw_histograms
from ebm_jax.reporting.house_style import (
    COLOURS,
    INK,
    draw_legend,
    line_style,
    new_axes,
    new_panels,
    save_figure,
    style_axes,
)

_CHANCE = {"color": "#777777", "linestyle": ":", "linewidth": 1.0}
_MOST_PANELS = 4  # histograms in a row
_WIDE_RATIO = 30.0  # of values, from which on points are drawn on a logarithmic axis
_MARK = {"color": "#999999", "linestyle": "--", "linewidth": 0.9, "zorder": 0}


def plot_bars(
    path: str | os.PathLike,
    groups: Mapping[str, Mapping[str, tuple[float, float, float]]],
    chance: float | None = None,
    title: str = "",
) -> Path:
    """Draws values in [0, 1] as bars with their intervals, one group of bars per place.

    Args:
      path: the .png, .svg or .pdf to write.
      groups: legend → {place on the axis: (value, lower, upper)}, the same places in each.
      chance: a dotted line at this height.
      title: text.

    Returns:
      The path.
    """
    places = list(next(iter(groups.values())))
    figure, axes = new_axes(title, size=(max(4.6, 0.95 * len(places) + 1.4), 2.9))
    width = 0.8 / len(groups)
    for index, (name, bars) in enumerate(groups.items()):
        x = np.arange(len(places)) + (index - (len(groups) - 1) / 2) * width
        value, low, high = np.array([bars[place] for place in places]).T
        axes.bar(x, value, width * 0.92, color=COLOURS[index], alpha=0.85, label=name)
        # A percentile interval of a skewed statistic may leave its value out.
        error = np.maximum([value - low, high - value], 0.0)
        axes.errorbar(x, value, error, fmt="none", ecolor=INK, elinewidth=0.9, capsize=2)
        for at, number, top in zip(x, value, high, strict=True):
            height = max(number, top) + 0.015
            axes.text(at, height, f"{number:.3f}", ha="center", fontsize=6.5, color=INK)
    if chance is not None:
        axes.axhline(chance, **_CHANCE)
    axes.set_ylim(0, 1.12)
    axes.yaxis.set_major_locator(FixedLocator(np.linspace(0, 1, 6)))
    axes.set_xticks(np.arange(len(places)), places)
    axes.tick_params(axis="x", length=0, labelsize=9)
    axes.legend(
        fontsize=7.5, frameon=False, labelcolor=INK, ncols=len(groups), loc="lower right",
        bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1,
    )  # fmt: skip
    axes.set_title(title, fontsize=9.5, color=INK, loc="left", pad=17)  # above the legend
    return save_figure(path, figure)


def plot_points(
    path: str | os.PathLike,
    places: Sequence[str],
    series: Mapping[str, Sequence[Mapping[str, float | None] | None]],
    levels: Mapping[str, float],
    xlabel: str = "",
    ylabel: str = "",
) -> Path:
    """Draws values at evenly spaced places, with their standard deviations, and lines to compare.

    Args:
      path: the .png, .svg or .pdf to write.
      places: names on the axis.
      series: legend → {mean, std (None: one value)} at every place; None leaves a gap.
      levels: legend → height of a dotted line.
      xlabel, ylabel: texts.

    Returns:
      The path.
    """
    figure, axes = new_axes("", xlabel, ylabel)
    x = np.arange(len(places))
    for index, (name, points) in enumerate(series.items()):
        mean = np.array([np.nan if point is None else point["mean"] for point in points])
        spreads = [None if point is None else point["std"] for point in points]
        error = np.array([np.nan if spread is None else spread for spread in spreads])
        style = line_style(index)
        axes.errorbar(
            x, mean, error, label=name, linewidth=1.4, marker="o", markersize=3.5,
            elinewidth=0.9, capsize=2.5, **style,
        )  # fmt: skip
    for index, (name, height) in enumerate(levels.items()):
        style = _CHANCE | {"color": COLOURS[(len(series) + index) % len(COLOURS)]}
        axes.axhline(height, label=name, **style)
    axes.set_xticks(x, places)
    axes.margins(x=0.08, y=0.08)
    low, high = axes.get_ylim()
    means = [point["mean"] for points in series.values() for point in points if point]
    if means and 0 < min(means) < max(means) / _WIDE_RATIO:
        axes.set_yscale("log")  # else all but the largest lie on the axis
    elif 0 < low < 0.6 * high:  # near enough to zero to show it
        axes.set_ylim(0, high)
    draw_legend(axes, [*series, *levels])
    return save_figure(path, figure)


def plot_precision_recall(
    path: str | os.PathLike, curves: Mapping[str, tuple[np.ndarray, np.ndarray]], title: str = ""
) -> Path:
    """Draws precision over recall for several scores of the same examples.

    Args:
      path: the .png, .svg or .pdf to write.
      curves: name → (labels [N], 1 = anomaly; scores [N], higher = more anomalous).
      title: text.

    Returns:
      The path.
    """
    figure, axes = new_axes(title, "recall", "precision")
    for index, (name, (labels, scores)) in enumerate(curves.items()):
        precision, recall, _ = precision_recall_curve(labels, scores)
        precision[-1] = precision[-2]  # scikit-learn ends at (0, 1), which no threshold gives
        style = line_style(index) | {"linewidth": 1.7 if index == 0 else 1.1}
        axes.step(recall, precision, where="post", label=name, **style)
    axes.axhline(np.mean(labels), **_CHANCE)
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(0, 1.03)
    draw_legend(axes, list(curves))
    return save_figure(path, figure)


def plot_histogram_panels(
    path: str | os.PathLike,
    panels: Mapping[str, Mapping[str, np.ndarray]],
    bins: int = 60,
    central: float = 1.0,
) -> Path:
    """Draws histograms side by side, one panel for each score, up to four in a row.

    Args:
      path: the .png, .svg or .pdf to write.
      panels: text below the panel → {name: values}; the names are the same in each.
      bins, central: as in `plot_histograms`.

    Returns:
      The path.
    """
    columns = min(len(panels), _MOST_PANELS)
    rows = -(-len(panels) // columns)
    figure, all_axes = new_panels(columns, (2.6 * columns + 0.4, 2.1 * rows + 0.3), rows=rows)
    all_axes, unused = all_axes[: len(panels)], all_axes[len(panels) :]
    for axes in unused:
        axes.set_visible(False)
    for index, (axes, (xlabel, sets)) in enumerate(zip(all_axes, panels.items(), strict=True)):
        style_axes(axes, xlabel=xlabel, ylabel="" if index % columns else "density")
        draw_histograms(axes, sets, bins, central)
        axes.yaxis.set_major_locator(NullLocator())  # a density's unit says nothing here
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.ticklabel_format(axis="x", scilimits=(-3, 4))
        if axes.get_legend() is not None:
            axes.get_legend().remove()
    handles, names = all_axes[0].get_legend_handles_labels()
    _legend_above(figure, dict(zip(names, handles, strict=True)))
    return save_figure(path, figure)


def plot_step_sizes(
    path: str | os.PathLike,
    step_sizes: Sequence[float],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    marks: Mapping[str, float],
    levels: Mapping[str, float],
    bottoms: Mapping[str, float],
) -> Path:
    """Draws what depends on a step size, one panel for each quantity, over a common log axis.

    Args:
      path: the .png, .svg or .pdf to write.
      step_sizes: [S], ascending.
      panels: title → {line: values [S]}; NaN leaves a gap.
      marks: legend → a step size that is marked in every panel.
      levels: panel's title → height of a dotted line.
      bottoms: panel's title → where its linear axis begins; the others are logarithmic where their
        values span more than a factor of 10.

    Returns:
      The path.
    """
    figure, all_axes = new_panels(len(panels), (3.1 * len(panels) + 0.3, 2.9))
    handles, marked = {}, {}
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        style_axes(axes, title, "step size")
        for index, (name, values) in enumerate(lines.items()):
            (handles[name],) = axes.plot(
                step_sizes, values, marker="o", markersize=3.2, linewidth=1.4, **line_style(index)
            )
        if title in levels:
            axes.axhline(levels[title], **_CHANCE)
        for index, (name, value) in enumerate(marks.items()):
            dash = {"linestyle": ("--", "-")[index % 2]}
            marked[name] = axes.axvline(value, **_MARK | dash)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(FixedLocator(list(step_sizes)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{size:.3g}" for size in step_sizes], fontsize=7)
        if title in bottoms:
            axes.set_ylim(bottom=bottoms[title])
        else:
            values = np.concatenate([np.ravel(values) for values in lines.values()])
            values = values[np.isfinite(values) & (values > 0)]
            if len(values) and values.max() > 10 * values.min():
                axes.set_yscale("log", nonpositive="mask")
    _legend_above(figure, handles | marked)
    return save_figure(path, figure)


def plot_profile_panels(
    path: str | os.PathLike,
    x: np.ndarray,
    panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]],
    marks: Mapping[str, float],
) -> Path:
    """Draws several quantities along chains, one panel for each, with bands of their spread.

    Args:
      path: the .png, .svg or .pdf to write.
      x: [K] steps.
      panels: title → {line: (mean [K], spread)}, the same lines in each; the spread is a standard
        deviation [K] or a lower and an upper quantile [2, K].
      marks: legend → a step that is marked in every panel.

    Returns:
      The path.
    """
    figure, all_axes = new_panels(len(panels), (4.2 * len(panels) + 0.3, 2.9))
    handles = {}
    for axes, (title, lines) in zip(all_axes, panels.items(), strict=True):
        style_axes(axes, title, "step of the chain")
        for index, (name, (mean, spread)) in enumerate(lines.items()):
            style = line_style(index)
            lower, upper = band_of(mean, spread, name)
            axes.fill_between(x, lower, upper, color=style["color"], alpha=0.13, linewidth=0)
            marker = {"marker": "o", "markersize": 3} if len(x) <= 24 else {}
            (handles[name],) = axes.plot(x, mean, linewidth=1.2, **marker, **style)
        for name, value in marks.items():
            handles[name] = axes.axvline(value, **_MARK)
        axes.margins(x=0.02)
    _legend_above(figure, handles)
    return save_figure(path, figure)


def _legend_above(figure, handles) -> None:
    """One legend for all panels: {text: what is drawn}."""
    figure.legend(
        handles.values(), handles, loc="outside upper center", ncols=len(handles), fontsize=7.5,
        frameon=False, labelcolor=INK,
    )  # fmt: skip
