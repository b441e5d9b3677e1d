import io

import numpy as np
import pytest
from PIL import Image

from ebm_jax.reporting import panels
from ebm_jax.reporting.curves import draw_curves
from ebm_jax.reporting.house_style import COLOURS
from ebm_jax.reporting.panels import draw_groups, panel_of, series_of


@pytest.mark.parametrize(
    "metric, panel",
    [
        ("energy/positive", "energy/positive, negative"),
        ("energy/negative", "energy/positive, negative"),
        ("prior/grad_norm_2", "prior/grad_norm"),
        ("prior/grad_norm/layer_2", "prior/grad_norm"),
        ("loss/total", "loss/total"),
        ("lr", "lr"),
    ],
)
def test_metrics_that_belong_together_share_a_panel(metric, panel):
    assert panel_of(metric) == panel


def test_chains_have_no_curve_before_they_run():
    """A warm-up logs zeros of them; no part of such a chain is finite."""
    idle = {"prior/energy": 0.0, "prior/finite": 0.0, "posterior/energy": 0.0, "loss": 0.0}
    ran = {"prior/energy": 2.0, "prior/finite": 0.5, "posterior/energy": 1.0, "loss": 1.0}
    rows = [{"step": 1} | idle, {"step": 2} | idle | {"prior/finite": None}, {"step": 3} | ran]
    series = series_of(rows)
    np.testing.assert_array_equal(series["prior/energy"][1], [np.nan, 0.0, 2.0])
    np.testing.assert_array_equal(series["prior/finite"][1], [np.nan, np.nan, 0.5])
    np.testing.assert_array_equal(series["posterior/energy"][1], [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(series["loss"][1], [0.0, 0.0, 1.0])


def test_series_are_sorted_and_null_is_nan():
    rows = [
        {"step": 20, "a": 2.0, "text": "x", "never": None},
        {"step": 10, "a": None, "flag": True},
        {"step": 30, "b": 3},
    ]
    series = series_of(rows)
    assert set(series) == {"a", "b"}
    np.testing.assert_array_equal(series["a"], [[10, 20], [np.nan, 2]])
    np.testing.assert_array_equal(series["b"], [[30], [3]])


def test_groups_come_in_the_pages_order_with_the_rest_last():
    names = ("time/rate", "posterior/a", "prior/a_1", "prior/a_2", "energy/a", "loss/a", "lr")
    rows = [{"step": step} | dict.fromkeys(names, 1.0 * step) for step in (1, 2)]
    groups = draw_groups(rows)
    assert [(group.name, [panel.title for panel in group.panels]) for group in groups] == [
        ("loss", ["loss/a"]),
        ("energy", ["energy/a"]),
        ("prior", ["prior/a"]),
        ("posterior", ["posterior/a"]),
        ("", ["lr", "time/rate"]),
    ]
    assert Image.open(io.BytesIO(groups[0].panels[0].png)).format == "PNG"
    assert draw_groups([]) == []


def test_overlays_keep_a_runs_style_where_others_lack_the_metric(monkeypatch):
    drawn = {}

    def keep(curves, **options):
        drawn[len(drawn)] = (curves, options)
        return draw_curves(curves, **options)

    monkeypatch.setattr(panels, "draw_curves", keep)
    runs = [[{"step": 1, "loss/a": 1.0}], [{"step": 1, "loss/a": 2.0, "lr": 0.1}], []]
    groups = panels.draw_overlays(runs)
    assert [[p.title for p in group.panels] for group in groups] == [["loss/a"], ["lr"]]
    assert [[len(steps) for steps, _ in curves.values()] for curves, _ in drawn.values()] == [
        [1, 1, 0],
        [0, 1, 0],
    ]
    assert not any(options["legend"] for _, options in drawn.values())
    figure = draw_curves({str(i): ([0, 1], [i, i]) for i in range(2)}, legend=False)
    assert figure.axes[0].get_legend() is None
    assert [line.get_color() for line in figure.axes[0].lines] == list(COLOURS[:2])
