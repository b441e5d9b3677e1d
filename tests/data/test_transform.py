import numpy as np
import pytest
from PIL import Image

from ebm_jax.data.transform import centre_crop, to_float, to_uint8, transform_image
from ebm_jax.errors import ConfigError, DataError


def test_right_size_keeps_exact_pixels(rng):
    image = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
    np.testing.assert_array_equal(transform_image(image, 8, 3), image)


def test_default_crop_is_the_centre_square_of_the_shorter_side(rng):
    image = rng.integers(0, 256, (4, 9, 1), dtype=np.uint8)
    np.testing.assert_array_equal(transform_image(image, 4, 1), image[:, 2:6])


def test_crop_of_celeb_a():
    """Rows 39..178 and columns 19..158: the 140-pixel centre of 218 × 178."""
    image = np.zeros((218, 178, 3), np.uint8)
    image[39:179, 19:159] = 255
    assert (transform_image(image, 140, 3, crop=140) == 255).all()
    assert centre_crop(image, 142).min() == 0


def test_shrinking_averages_out_stripes():
    """Without antialiasing one-pixel stripes would come out as 0 or 255."""
    image = np.zeros((32, 32, 1), np.uint8)
    image[:, ::2] = 255
    small = transform_image(image, 4, 1)
    assert small.shape == (4, 4, 1)
    assert (abs(small.astype(int) - 127) < 20).all()


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_resize_is_pillows_bicubic_in_each_channel(rng, channels):
    image = rng.integers(0, 256, (12, 12, channels), dtype=np.uint8)
    resized = transform_image(image, 5, channels)
    for c in range(channels):
        plane = Image.fromarray(image[..., c]).resize((5, 5), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(resized[..., c], np.asarray(plane))


def test_wrong_channels_are_not_repaired():
    with pytest.raises(DataError, match="have 1 channels .* is 3: set data.channels=1"):
        transform_image(np.zeros((8, 8, 1), np.uint8), 8, 3)


def test_crop_larger_than_image():
    with pytest.raises(
        DataError, match="data.crop is 9 pixels .* 8 high and 10 wide: .* at most 8"
    ):
        transform_image(np.zeros((8, 10, 1), np.uint8), 8, 1, crop=9)


def test_wrong_dtype_and_shape():
    with pytest.raises(DataError, match="dtype float32 and shape \\(8, 8, 1\\)"):
        transform_image(np.zeros((8, 8, 1), np.float32), 8, 1)
    with pytest.raises(DataError, match="shape \\(8, 8\\)"):
        transform_image(np.zeros((8, 8), np.uint8), 8, 1)


@pytest.mark.parametrize("value_range", [(-1.0, 1.0), (0.0, 1.0), (-0.5, 0.5), (0, 255)])
def test_range_round_trip(value_range):
    images = np.arange(256, dtype=np.uint8).reshape(16, 16)
    floats = to_float(images, value_range)
    assert floats.dtype == np.float32
    assert (floats[0, 0], floats[-1, -1]) == value_range
    low, high = value_range
    np.testing.assert_allclose(floats.ravel()[51], low + 0.2 * (high - low), atol=1e-6)
    np.testing.assert_array_equal(to_uint8(floats, value_range), images)


def test_to_uint8_clips_and_rounds():
    values = np.array([-3.0, 0.0, 10.4 / 255, 10.6 / 255, 1.0, 9.0])
    assert to_uint8(values, (0.0, 1.0)).tolist() == [0, 0, 10, 11, 255, 255]


def test_empty_range():
    with pytest.raises(ConfigError, match="data.range is \\(1.0, 1.0\\)"):
        to_float(np.zeros(1, np.uint8), (1.0, 1.0))
