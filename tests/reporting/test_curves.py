import numpy as np
import pytest
from PIL import Image

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.curves import (
    draw_curves,
    plot_curves,
    plot_histograms,
    plot_profile,
    running_mean,
)
from ebm_jax.reporting.house_style import COLOURS


def has_colour(path, colour):
    """Whether some pixel of a PNG has exactly this colour."""
    pixels = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((pixels == wanted).all(1).any())


def test_curves_hold_the_values_and_leave_gaps():
    series = {"a": ([0, 10, 20], [1.0, None, 3.0]), "b": ([0, 10], [np.inf, 2.0])}
    axes = draw_curves(series, title="T", ylabel="nats").axes[0]
    a, b = axes.get_lines()
    np.testing.assert_array_equal(a.get_xydata(), [[0, 1], [10, np.nan], [20, 3]])
    assert np.isnan(b.get_ydata()[0]) and b.get_ydata()[1] == 2.0
    assert b.get_marker() == "o"  # a single finite value would draw no line
    assert axes.get_ylabel() == "nats" and axes.get_title(loc="left") == "T"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


@pytest.mark.parametrize("value, scale", [(1.0, "log"), (-1.0, "linear")])
def test_a_log_axis_needs_something_positive(value, scale):
    figure = draw_curves({"a": ([0, 1], [value, 2 * value])}, logy=True)
    assert figure.axes[0].get_yscale() == scale


def test_smoothing_draws_the_raw_curve_as_well():
    steps, values = np.arange(100.0), np.tile([0.0, 1.0], 50)
    raw, smooth = draw_curves({"a": (steps, values)}, smooth=5).axes[0].get_lines()
    np.testing.assert_array_equal(raw.get_ydata(), values)
    np.testing.assert_allclose(smooth.get_ydata(), running_mean(values, 5))


def test_running_mean_is_centred_and_skips_nan():
    np.testing.assert_allclose(running_mean(np.array([1.0, 2.0, 6.0, 4.0]), 3), [1.5, 3, 4, 5])
    gap = running_mean(np.array([1.0, np.nan, 3.0, np.nan, np.nan, np.nan]), 3)
    np.testing.assert_allclose(gap, [1, 2, 3, 3, np.nan, np.nan])


def test_files_are_images_of_their_kind(tmp_path):
    path = plot_curves(tmp_path / "new" / "a.png", {"a": ([0, 1], [0, 1]), "b": ([0, 1], [1, 0])})
    assert has_colour(path, COLOURS[0]) and has_colour(path, COLOURS[1])
    assert not has_colour(path, COLOURS[2])
    assert b"<svg" in plot_curves(tmp_path / "a.svg", {"a": ([0], [1])}).read_bytes()
    assert plot_curves(tmp_path / "a.pdf", {}).read_bytes().startswith(b"%PDF")


def test_histograms_and_profiles_draw_each_set(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 4))
    path = plot_histograms(tmp_path / "h.png", {"a": values, "b": [np.nan, 1.0], "c": []}, "nats")
    assert has_colour(path, COLOURS[0]) and has_colour(path, COLOURS[1])
    profiles = {
        "mean": np.arange(5.0),
        "std": (np.arange(5.0), np.ones(5)),
        "quantiles": (np.arange(5.0), np.stack([np.zeros(5), np.full(5, 9.0)])),
    }
    path = plot_profile(tmp_path / "p.png", profiles, "step", "energy")
    assert all(has_colour(path, colour) for colour in COLOURS[:3])


def test_what_cannot_be_drawn_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="2 steps but 1"):
        plot_curves(tmp_path / "a.png", {"a": ([0, 1], [1])})
    with pytest.raises(ConfigError, match="end in .png"):
        plot_curves(tmp_path / "a.gif", {"a": ([0], [1])})
    with pytest.raises(ConfigError, match="no finite value"):
        plot_histograms(tmp_path / "a.png", {"a": [np.nan]})
    with pytest.raises(ConfigError, match="two quantiles"):
        plot_profile(tmp_path / "a.png", {"a": (np.zeros(3), np.zeros((3, 2)))})
    with pytest.raises(ConfigError, match="3 points"):
        plot_profile(tmp_path / "a.png", {"a": np.zeros(3)}, x=np.zeros(2))
    assert not list(tmp_path.iterdir())
