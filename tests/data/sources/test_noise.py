"""Noise is uniform, always the same, and different in every image and split."""

import numpy as np
import pytest

from ebm_jax.data import open_dataset
from ebm_jax.data.sources.noise import open_noise
from ebm_jax.errors import DataError


def test_grey_values_are_uniform():
    images, labels = open_noise("test", (16, 16, 3)).read(np.arange(100))
    counts = np.bincount(np.ravel(images), minlength=256)
    expected = counts.sum() / 256  # 300
    assert ((counts - expected) ** 2 / expected).sum() < 350  # χ² of 255 degrees: 1 in 10 000
    assert set(labels) == {-1}
    assert {(image.shape, image.dtype) for image in images} == {((16, 16, 3), np.dtype(np.uint8))}


def test_images_are_always_the_same_and_all_different():
    source = open_noise("test", (8, 8, 1))
    (first, second), _ = source.read([3, 4])
    (again,), _ = open_noise("test", (8, 8, 1)).read([3])
    (other,), _ = open_noise("train", (8, 8, 1)).read([3])
    np.testing.assert_array_equal(first, again)
    assert (first != second).any() and (first != other).any()
    assert source.num_examples == 10_000


def test_unknown_split_is_refused():
    with pytest.raises(
        DataError, match="splits train and test, not 'validation': set data.train_split"
    ):
        open_noise("validation", (8, 8, 1))


@pytest.mark.parametrize("crop", [0, 4, 16])
def test_noise_of_a_models_size_is_not_resized(make_config, crop):
    """Resizing would smooth it: uniform pixels have a standard deviation of 74."""
    dataset = open_dataset(make_config(name="noise", image_size=8, crop=crop), "test")
    images, _ = dataset.fetch(np.arange(50))
    assert images.shape == (50, 8, 8, 1)
    if crop in (0, 8):
        assert 70 < images.std() < 78
