"""Curves over training steps, histograms and profiles, in the house style."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.house_style import SIZE, draw_legend, line_style, new_axes, save_figure

Series = Mapping[str, tuple[np.ndarray, np.ndarray]]


def _vector(values, name: str) -> np.ndarray:
    """Values as a float vector in which everything that cannot be drawn is NaN, hence a gap."""
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise ConfigError(f"The values of '{name}' have shape {vector.shape}; they must be [K].")
    return np.where(np.isfinite(vector), vector, np.nan)


def running_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Centred mean over `window` points, shorter at both ends, that skips NaN.

    Args:
      values: [K].
      window: odd number of points.

    Returns:
      [K]; NaN only where a whole window is.
    """
    kernel = np.ones(window)
    valid = np.isfinite(values)
    total = np.convolve(np.where(valid, values, 0.0), kernel, "full")
    count = np.convolve(valid.astype(float), kernel, "full")
    centre = slice(window // 2, window // 2 + len(values))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)[centre]


def draw_curves(
    series: Series,
    title: str = "",
    ylabel: str = "",
    logy: bool = False,
    xlabel: str = "step",
    smooth: int = 1,
    size: tuple[float, float] = SIZE,
    legend: bool = True,
) -> Figure:
    """The figure behind `plot_curves`, with the same arguments and its `size` in inches.

    A series without points takes a colour all the same; `legend` names the lines in the figure.
    """
    figure, axes = new_axes(title, xlabel, ylabel, size)
    positive = False
    for index, (name, (steps, values)) in enumerate(series.items()):
        steps, values = _vector(steps, name), _vector(values, name)
        if len(steps) != len(values):
            raise ConfigError(f"'{name}' has {len(steps)} steps but {len(values)} values.")
        positive |= bool((values > 0).any())
        style = line_style(index)
        marker = "o" if np.isfinite(values).sum() == 1 else None
        if smooth > 1 and len(values) > 4 * smooth:
            axes.plot(steps, values, color=style["color"], linewidth=0.6, alpha=0.28)
            values = running_mean(values, smooth | 1)
        axes.plot(steps, values, label=name, linewidth=1.4, marker=marker, markersize=4, **style)
    if logy and positive:  # with nothing above zero a log axis would be empty
        axes.set_yscale("log", nonpositive="mask")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.margins(x=0.02)
    if legend:
        draw_legend(axes, list(series))
    return figure


def plot_curves(
    path: str | os.PathLike,
    series: Series,
    title: str = "",
    ylabel: str = "",
    logy: bool = False,
    xlabel: str = "step",
    smooth: int = 1,
) -> Path:
    """Draws curves over training steps.

    Args:
      path: the .png, .svg or .pdf to write.
      series: name → (steps [K], values [K]); non-finite values leave gaps.
      title, ylabel, xlabel: texts.
      logy: logarithmic values; linear all the same when no value is positive.
      smooth: points in a running mean drawn over the pale raw curve; 1 draws the raw curve alone,
        and so do curves too short for the mean to be one.

    Returns:
      The path.

    Raises:
      ConfigError: lengths differ, or the file's ending is unknown.
    """
    return save_figure(path, draw_curves(series, title, ylabel, logy, xlabel, smooth))


def plot_histograms(
    path: str | os.PathLike,
    sets: Mapping[str, np.ndarray],
    xlabel: str = "",
    title: str = "",
    bins: int = 60,
    central: float = 1.0,
) -> Path:
    """Draws sets of values as densities over common bins, so that their areas compare.

    Args:
      path: the .png, .svg or .pdf to write.
      sets: name → values of any shape; non-finite ones are left out and counted in the legend.
      xlabel, title: texts.
      bins: the largest number of bins over the range of all sets; few values have fewer.
      central: the part of all values, in the middle, that the range spans; what lies outside is
        not drawn but counts in the densities.

    Returns:
      The path.

    Raises:
      ConfigError: no finite value at all, or the file's ending is unknown.
    """
    figure, axes = new_axes(title, xlabel, "density")
    draw_histograms(axes, sets, bins, central)
    return save_figure(path, figure)


def draw_histograms(
    axes: Axes, sets: Mapping[str, np.ndarray], bins: int = 60, central: float = 1.0
) -> None:
    """What `plot_histograms` draws, into axes."""
    flat = {name: np.asarray(values, dtype=np.float64).ravel() for name, values in sets.items()}
    finite = {name: values[np.isfinite(values)] for name, values in flat.items()}
    if not any(len(values) for values in finite.values()):
        raise ConfigError(f"There is no finite value to draw a histogram of in {list(sets)}.")
    tail = (1 - central) / 2
    ends = np.quantile(np.concatenate(list(finite.values())), (tail, 1 - tail))
    # Some values in each bin even of the smallest set, whose outline would be a comb otherwise.
    fewest = min(len(values) for values in finite.values() if len(values))
    edges = np.histogram_bin_edges(ends, min(bins, max(10, int(2 * fewest**0.5))))
    for index, (name, values) in enumerate(finite.items()):
        left_out = len(flat[name]) - len(values)
        label = f"{name} ({left_out} not finite)" if left_out else name
        style = line_style(index)
        if len(values):
            counts, _ = np.histogram(values, edges)
            heights = counts / (len(values) * np.diff(edges))
            axes.stairs(heights, edges, fill=True, color=style["color"], alpha=0.18)
            axes.stairs(heights, edges, linewidth=1.3, label=label, **style)
        else:
            axes.plot([], [], label=label, **style)
    axes.margins(x=0.02)
    draw_legend(axes, list(flat))


def band_of(mean: np.ndarray, spread, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge [K] from a std [K] or from two quantiles [2, K]."""
    spread = np.asarray(spread, dtype=np.float64)
    if spread.shape == mean.shape:
        return mean - spread, mean + spread
    if spread.shape == (2, *mean.shape):
        return spread[0], spread[1]
    raise ConfigError(
        f"The spread of '{name}' has shape {spread.shape}; for {len(mean)} points it must be a "
        f"standard deviation ({len(mean)},) or two quantiles (2, {len(mean)})."
    )


def plot_profile(
    path: str | os.PathLike,
    profiles: Mapping[str, np.ndarray | tuple[np.ndarray, np.ndarray | None]],
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    x: np.ndarray | None = None,
) -> Path:
    """Draws means over an index (Langevin step, layer) with bands of their spread.

    Args:
      path: the .png, .svg or .pdf to write.
      profiles: name → mean [K], or (mean [K], spread), where the spread is a standard deviation
        [K], a lower and an upper quantile [2, K], or None.
      xlabel, ylabel, title: texts.
      x: [K] abscissas shared by all profiles; 0 … K - 1 by default.

    Returns:
      The path.

    Raises:
      ConfigError: shapes do not match, or the file's ending is unknown.
    """
    figure, axes = new_axes(title, xlabel, ylabel)
    for index, (name, profile) in enumerate(profiles.items()):
        mean, spread = profile if isinstance(profile, tuple) else (profile, None)
        mean = _vector(mean, name)
        places = np.arange(len(mean)) if x is None else np.asarray(x)
        if places.shape != mean.shape:
            raise ConfigError(f"'{name}' has {len(mean)} points but x has shape {places.shape}.")
        style = line_style(index)
        marker = "o" if len(mean) <= 24 else None
        axes.plot(places, mean, label=name, linewidth=1.4, marker=marker, markersize=3, **style)
        if spread is not None:
            lower, upper = band_of(mean, spread, name)
            axes.fill_between(places, lower, upper, color=style["color"], alpha=0.16, linewidth=0)
    if x is None or np.issubdtype(np.asarray(x).dtype, np.integer):
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.margins(x=0.02)
    draw_legend(axes, list(profiles))
    return save_figure(path, figure)
