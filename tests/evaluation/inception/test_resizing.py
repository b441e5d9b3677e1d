"""Both resize modes against their definitions."""

import numpy as np
import pytest
from PIL import Image

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.inception.resizing import MODES, resize, resize_matrix


@pytest.mark.parametrize("shape", [(32, 32), (28, 40), (400, 310), (299, 64)])
def test_clean_is_pillows_bicubic_on_floats(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 1), dtype=np.uint8)
    plane = Image.fromarray(image[..., 0].astype(np.float32))
    unclipped = np.asarray(plane.resize((299, 299), Image.Resampling.BICUBIC))
    assert unclipped.max() > 255.0 or max(shape) > 299
    expected = np.clip(unclipped, 0, 255)  # as clean-fid does
    got = resize(image, 299, "clean")[..., 0]
    np.testing.assert_allclose(got, expected, atol=2e-3)  # of 255
    assert np.ptp(expected - np.rint(expected)) > 0.5  # not rounded


@pytest.mark.parametrize("size", [8, 32, 299, 350])
def test_legacy_reads_at_i_times_size_over_target(size):
    """On a ramp, linear interpolation gives back the place that is read."""
    ramp = np.arange(size, dtype=np.float32)
    places = np.minimum(np.arange(299) * size / 299, size - 1)
    np.testing.assert_allclose(resize_matrix(size, 299, "legacy") @ ramp, places, atol=1e-3)
    halfway = np.clip((np.arange(299) + 0.5) * size / 299 - 0.5, 0, size - 1)  # pytorch-fid's
    if size != 299:
        assert np.abs(resize_matrix(size, 299, "legacy") @ ramp - halfway).max() > 0.05


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [1, 8, 299, 512])
def test_constant_images_stay_constant(mode, size):
    matrix = resize_matrix(size, 299, mode)
    assert matrix.shape == (299, size) and matrix.dtype == np.float32
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-5)


def test_clean_averages_what_legacy_skips():
    """Shrinking stripes of one pixel: antialiased grey, or whatever happens to be hit."""
    stripes = (np.arange(598) % 2).astype(np.float32)
    assert np.abs(resize_matrix(598, 299, "clean") @ stripes - 0.5)[5:-5].max() < 0.1
    assert np.abs(resize_matrix(598, 299, "legacy") @ stripes).max() == 0.0


def test_rows_and_columns_are_not_mixed_up():
    image = np.zeros((10, 20, 3), np.uint8)
    image[0] = 200
    got = resize(image, 299, "legacy")
    assert got.shape == (299, 299, 3)
    assert got[0].min() == pytest.approx(200) and got[-1].max() == 0


def test_unknown_mode():
    with pytest.raises(ConfigError, match="resize mode is 'cubic'; use one of: clean, legacy"):
        resize_matrix(8, 299, "cubic")
