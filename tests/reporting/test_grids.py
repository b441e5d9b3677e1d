import numpy as np
import pytest
from PIL import Image

from ebm_jax.errors import ConfigError
from ebm_jax.reporting import grids
from ebm_jax.reporting.grids import BACKGROUND, image_grid, pair_grid, save_grid, strip, to_uint8


def flat(values, side=4, channels=1):
    """One constant image per value."""
    values = np.asarray(values, np.float32)[:, None, None, None]
    return np.broadcast_to(values, (len(values), side, side, channels))


def test_the_range_is_stated_and_clipped_never_stretched():
    pixels = to_uint8(flat([-3.0, -1.0, 0.0, 0.2, 1.0, 9.0]))[:, 0, 0]
    assert pixels[:, 0].tolist() == [0, 0, 128, 153, 255, 255]
    assert (pixels == pixels[:, :1]).all()
    assert to_uint8(flat([0.2]), (0, 1))[0, 0, 0].tolist() == [51, 51, 51]


def test_nan_is_seen_and_infinity_is_clipped():
    pixels = to_uint8(flat([np.nan, np.inf, -np.inf]))[:, 0, 0]
    assert pixels.tolist() == [[255, 0, 255], [255, 255, 255], [0, 0, 0]]


def test_colours_stay_in_their_channels():
    red = np.zeros((1, 2, 2, 3)) + np.array([1.0, -1.0, 0.0])
    assert to_uint8(red)[0, 0, 0].tolist() == [255, 0, 128]


def test_a_grid_is_read_row_by_row_with_gaps_and_empty_places():
    values = np.array([-1.0, -0.6, -0.2, 0.2, 0.6])
    grid = image_grid(flat(values, side=2), columns=3, pad=2, scale=3)
    assert grid.shape == (2 * 6 + 3 * 2, 3 * 6 + 4 * 2, 3) and grid.dtype == np.uint8
    expected = np.full((18, 26), BACKGROUND)
    for i, value in enumerate(values):
        top, left = 2 + 8 * (i // 3), 2 + 8 * (i % 3)
        expected[top : top + 6, left : left + 6] = np.rint((value + 1) / 2 * 255)
    np.testing.assert_array_equal(grid[..., 0], expected)


def test_enlargement_is_nearest_neighbour_up_to_48_pixels():
    image = np.linspace(-1, 1, 64).reshape(1, 8, 8, 1)
    grid = image_grid(image, pad=0)
    assert grid.shape == (48, 48, 3)
    np.testing.assert_array_equal(grid[::6, ::6], to_uint8(image)[0])
    np.testing.assert_array_equal(grid[5::6, 5::6], to_uint8(image)[0])
    assert image_grid(flat([0], side=28), pad=0).shape[0] == 56
    assert image_grid(flat([0], side=64), pad=0).shape[0] == 64


def test_the_default_grid_is_near_square():
    assert image_grid(flat(np.zeros(10), side=48), pad=0).shape == (3 * 48, 4 * 48, 3)


def test_pairs_stand_above_each_other():
    grid = pair_grid(flat([0.2, 0.4, 0.6]), flat([-0.2, -0.4, -0.6]), columns=2, pad=1, scale=1)
    rows = [1, 6, 14, 19]  # a gap of 1 within a pair, of 4 between pairs
    found = [[int(grid[row, column, 0]) for column in (1, 6)] for row in rows]
    assert found == [[153, 178], [102, 76], [204, BACKGROUND], [51, BACKGROUND]]
    assert (grid[10:14] == BACKGROUND).all()


def test_a_strip_has_a_row_per_chain():
    chains = np.array([[-1.0, 0.0, 1.0], [1.0, 1.0, -1.0]])[..., None, None, None]
    image = strip(chains, pad=0, scale=1)
    assert image[..., 0].tolist() == [[0, 128, 255], [255, 255, 0]]


def test_a_saved_grid_reads_back_and_leaves_no_temporary(tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (3, 8, 8, 3))
    path = save_grid(tmp_path / "samples" / "a.png", images, columns=3)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image_grid(images, columns=3))
    assert [p.name for p in path.parent.iterdir()] == ["a.png"]


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = save_grid(tmp_path / "a.png", flat([0.0]))
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("ebm_jax.reporting.files.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_grid(path, flat([1.0]))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize(
    "images, options, message",
    [
        (np.zeros((4, 8, 8)), {}, "shape"),
        (np.zeros((4, 8, 8, 2)), {}, "shape"),
        (np.zeros((0, 8, 8, 1)), {}, "empty"),
        (np.zeros((4, 8, 8, 1), np.uint8), {}, "uint8"),
        (np.zeros((4, 8, 8, 1)), {"value_range": (1, 1)}, "value_range"),
        (np.zeros((4, 8, 8, 1)), {"columns": 0}, "columns"),
        (np.zeros((4, 8, 8, 1)), {"pad": -1}, "pad"),
        (np.zeros((4, 8, 8, 1)), {"scale": 0}, "scale"),
    ],
)
def test_wrong_arguments_are_refused(images, options, message):
    with pytest.raises(ConfigError, match=message):
        image_grid(images, **options)


def test_wrong_shapes_of_pairs_and_chains_are_refused():
    with pytest.raises(ConfigError, match="same shape"):
        pair_grid(flat([0.0]), flat([0.0, 1.0]))
    with pytest.raises(ConfigError, match="chains, steps"):
        grids.strip(flat([0.0]))
