"""Clouds of points along chains, in the house style."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.ticker import MaxNLocator

from ebm_jax.reporting.house_style import INK, new_panels, save_figure, style_axes

# Ten classes need ten colours: Okabe and Ito's, and two of Tol's.
_CLASSES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444", "#8A6BBE",
            "#882255", "#999933")  # fmt: skip
_CENTRAL = 0.99  # of all points that the axes span


def plot_scatter_grid(
    path: str | os.PathLike, rows: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]
) -> Path:
    """Draws clouds side by side, a row for each kind of chain, on axes that all share.

    Args:
      path: the .png, .svg or .pdf to write.
      rows: name → {title: (points [N, 2], classes int [N])}; points that are not finite or of a
        negative class are left out, and the axes leave out the outermost ones.

    Returns:
      The path.
    """
    columns = max(len(clouds) for clouds in rows.values())
    size = (1.65 * columns + 0.4, 1.8 * len(rows) + 0.45)
    figure, all_axes = new_panels(columns, size, rows=len(rows))
    shown = [p[c >= 0] for clouds in rows.values() for p, c in clouds.values()]
    everything = np.concatenate(shown)
    low, high = _limits(everything)
    seen: dict[int, object] = {}
    for number, (name, clouds) in enumerate(rows.items()):
        row = all_axes[number * columns : (number + 1) * columns]
        for axes, (title, (points, classes)) in zip(row, clouds.items(), strict=False):
            style_axes(axes)
            axes.set_title(title, fontsize=8.5, color=INK)
            for label in np.unique(classes[classes >= 0]):
                kept = points[classes == label]
                seen[int(label)] = axes.scatter(
                    *kept.T, s=2.5, alpha=0.55, linewidths=0, color=_CLASSES[label % len(_CLASSES)]
                )
            axes.set_xlim(low[0], high[0])
            axes.set_ylim(low[1], high[1])
            axes.grid(False)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(3))
            axes.tick_params(labelsize=6.5)
        row[0].set_ylabel(name, fontsize=9, color=INK)
        for axes in row[len(clouds) :]:
            axes.set_axis_off()
    if len(seen) > 1:
        order = sorted(seen)
        figure.legend(
            [seen[label] for label in order], [f"class {label}" for label in order], fontsize=7.5,
            loc="outside upper center", ncols=len(order), frameon=False, labelcolor=INK,
            markerscale=3.5, handletextpad=0.2, columnspacing=1.2,
        )  # fmt: skip
    return save_figure(path, figure)


def _limits(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    finite = points[np.isfinite(points).all(axis=1)]
    if not len(finite):
        return np.full(2, -1.0), np.full(2, 1.0)
    tail = (1 - _CENTRAL) / 2
    low, high = np.quantile(finite, (tail, 1 - tail), axis=0)
    margin = 0.08 * np.maximum(high - low, 1e-6)
    return low - margin, high + margin
