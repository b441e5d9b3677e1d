"""Charts: what is drawn, checked on the figures' own objects and on the files."""

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import average_precision_score

from ebm_jax.reporting import charts
from ebm_jax.reporting.curves import draw_histograms
from ebm_jax.reporting.house_style import new_axes


@pytest.fixture
def figures(monkeypatch):
    """The figures that are saved."""
    kept, save = [], charts.save_figure
    monkeypatch.setattr(
        charts, "save_figure", lambda path, figure: kept.append(figure) or save(path, figure)
    )
    return kept


def test_bars_have_the_values_and_their_intervals(tmp_path, figures):
    groups = {"AUROC": {"a": (0.7, 0.6, 0.75), "b": (0.2, 0.1, 0.3)}}
    path = charts.plot_bars(tmp_path / "b.png", groups, chance=0.5, title="t")
    (axes,) = figures[0].axes
    assert [bar.get_height() for bar in axes.patches] == [0.7, 0.2]
    ends = np.array([line[:, 1] for line in axes.collections[0].get_segments()])
    np.testing.assert_allclose(ends, [[0.6, 0.75], [0.1, 0.3]])
    assert [text.get_text() for text in axes.texts] == ["0.700", "0.200"]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b"]
    assert Image.open(path).width > 500


def test_precision_recall_has_the_area_of_average_precision(tmp_path, figures):
    rng = np.random.default_rng(0)
    labels = (np.arange(50) < 10).astype(int)
    scores = rng.standard_normal(50) + labels
    charts.plot_precision_recall(tmp_path / "p.png", {"x": (labels, scores)})
    line = figures[0].axes[0].lines[0]
    recall, precision = line.get_data()
    assert precision[-1] == precision[-2] and recall[-1] == 0
    area = -np.sum(np.diff(recall) * precision[:-1])
    assert area == pytest.approx(average_precision_score(labels, scores))
    assert line.get_drawstyle() == "steps-post"


def test_histogram_panels_share_one_legend(tmp_path, figures):
    sets = {"in": np.zeros(9), "out": np.arange(9.0)}
    charts.plot_histogram_panels(tmp_path / "h.png", {"one": sets, "two": sets}, bins=9)
    figure = figures[0]
    assert [axes.get_xlabel() for axes in figure.axes] == ["one", "two"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["in", "out"]
    assert all(axes.get_legend() is None for axes in figure.axes)


def test_more_than_four_histogram_panels_go_on_below(tmp_path, figures):
    sets = {"in": np.zeros(9), "out": np.arange(9.0)}
    charts.plot_histogram_panels(tmp_path / "h.png", {str(i): sets for i in range(6)}, bins=9)
    shown = [axes for axes in figures[0].axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in shown] == ["0", "1", "2", "3", "4", "5"]
    assert [axes.get_ylabel() for axes in shown] == ["density", "", "", "", "density", ""]
    assert shown[4].get_subplotspec().rowspan.start == 1
    assert figures[0].get_size_inches()[0] < 11


def test_central_part_of_a_histogram_keeps_its_density():
    values = np.concatenate([np.linspace(0, 1, 990), np.full(10, 1e6)])
    _, axes = new_axes()
    draw_histograms(axes, {"x": values}, bins=10, central=0.96)
    heights, edges, _ = axes.patches[0].get_data()
    assert edges[-1] < 1.1
    assert np.sum(heights * np.diff(edges)) == pytest.approx(0.96, abs=0.01)  # the rest is outside


@pytest.mark.parametrize("count, bins", [(9, 10), (64, 16), (10_000, 60)])
def test_few_values_have_few_bins(count, bins):
    _, axes = new_axes()
    draw_histograms(axes, {"x": np.linspace(0, 1, count), "y": np.linspace(0, 1, 10_000)})
    assert len(axes.patches[0].get_data().values) == bins


def test_step_sizes_are_on_one_axis_with_their_marks(tmp_path, figures):
    wide, narrow = {"MALA": [0.1, 1.1]}, {"MALA": [0.1, np.nan]}
    panels = {"acceptance": {"MALA": [0.9, 0.6]}, "ESS": wide, "R-hat": narrow}
    marks = {"configured": 0.2, "recommended": 0.4}
    charts.plot_step_sizes(
        tmp_path / "s.png", [0.2, 0.4], panels, marks, {"acceptance": 0.574}, {"acceptance": 0.0}
    )
    figure = figures[0]
    assert [axes.get_title(loc="left") for axes in figure.axes] == list(panels)
    for axes in figure.axes:
        assert axes.get_xscale() == "log"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.2", "0.4"]
    assert [axes.get_yscale() for axes in figure.axes] == ["linear", "log", "linear"]
    assert figure.axes[0].get_ylim()[0] == 0.0
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), [0.9, 0.6])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["MALA", "configured", "recommended"]


def test_points_have_their_spreads_gaps_and_levels(tmp_path, figures):
    series = {"EBM": [{"mean": 3.0, "std": 0.5}, None, {"mean": 1.0, "std": None}]}
    path = charts.plot_points(tmp_path / "p.png", ["15", "30", "60"], series, {"VAE": 4.0}, "K")
    assert path.exists() and path.with_suffix(".pdf").exists()
    axes = figures[0].axes[0]
    drawn = np.asarray(axes.lines[0].get_ydata(), float)
    np.testing.assert_array_equal(drawn, [3.0, np.nan, 1.0])
    bars = axes.collections[0].get_segments()
    np.testing.assert_array_equal(bars[0], [[0, 2.5], [0, 3.5]])
    assert len(bars[1]) == len(bars[2]) == 0  # one value has no spread
    assert axes.lines[-1].get_ydata()[0] == 4.0 and axes.get_ylim()[0] == 0.0
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["15", "30", "60"]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["VAE", "EBM"]


@pytest.mark.parametrize("largest, scale", [(40.0, "log"), (20.0, "linear")])
def test_points_of_other_magnitudes_have_a_logarithmic_axis(tmp_path, figures, largest, scale):
    series = {"EBM": [{"mean": largest, "std": None}, None, {"mean": 1.0, "std": None}]}
    charts.plot_points(tmp_path / "p.png", ["15", "30", "60"], series, {})
    assert figures[0].axes[0].get_yscale() == scale


def test_profile_panels_have_means_bands_and_the_mark(tmp_path, figures):
    lines = {"a": (np.array([1.0, 2.0]), np.array([0.5, 0.25]))}
    path = tmp_path / "p.png"
    charts.plot_profile_panels(path, np.array([10, 20]), {"one": lines, "two": lines}, {"K": 15})
    for axes, title in zip(figures[0].axes, ("one", "two"), strict=True):
        assert axes.get_title(loc="left") == title
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1.0, 2.0])
        assert axes.lines[1].get_xdata()[0] == 15
        corners = axes.collections[0].get_paths()[0].vertices
        assert (corners[:, 1].min(), corners[:, 1].max()) == (0.5, 2.25)
