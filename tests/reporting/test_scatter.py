"""Scatter grids hold the points they are given, on shared axes."""

import numpy as np

from ebm_jax.reporting import scatter


def test_points_classes_and_shared_axes(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    drawn = []
    save = scatter.save_figure
    monkeypatch.setattr(
        scatter, "save_figure", lambda path, figure: drawn.append(figure) or save(path, figure)
    )
    few, many = rng.normal(size=(40, 2)), 3 + rng.normal(size=(60, 2))
    few[0] = np.nan
    rows = {
        "prior": {"start": (few, np.repeat([0, 7], 20)), "end": (many, np.repeat([0, 3], 30))},
        "posterior": {"q": (many, np.zeros(60, int))},
    }
    path = scatter.plot_scatter_grid(tmp_path / "x.png", rows)
    assert path.stat().st_size > 0 and (tmp_path / "x.pdf").read_bytes()[:5] == b"%PDF-"
    (figure,) = drawn
    first, second, third, empty = figure.axes
    np.testing.assert_allclose(first.collections[1].get_offsets(), few[20:])
    np.testing.assert_allclose(second.collections[1].get_offsets(), many[30:])
    assert len(third.collections) == 1 and not empty.axison
    limits = {(*axes.get_xlim(), *axes.get_ylim()) for axes in (first, second, third)}
    assert len(limits) == 1
    low, high = sorted(limits)[0][:2]
    assert low < -1 and high > 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        "class 0",
        "class 3",
        "class 7",
    ]
    colours = [c.get_facecolor()[0][:3].tolist() for c in first.collections]
    assert colours[0] != colours[1]
    assert colours[0] == second.collections[0].get_facecolor()[0][:3].tolist()


def test_a_negative_class_is_not_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(scatter, "save_figure", lambda path, figure: drawn.append(figure))
    cloud = (np.zeros((5, 2)), np.array([0, 0, -1, -1, -1]))
    scatter.plot_scatter_grid(tmp_path / "x.png", {"prior": {"0": cloud}})
    (points,) = drawn[0].axes[0].collections
    assert len(points.get_offsets()) == 2


def test_nothing_finite_is_still_drawn(tmp_path):
    cloud = (np.full((5, 2), np.nan), np.zeros(5, int))
    assert scatter.plot_scatter_grid(tmp_path / "x.png", {"prior": {"0": cloud}}).exists()
