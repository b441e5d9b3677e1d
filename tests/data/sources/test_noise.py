"""Noise is uniform, always the same, and different in every image and split."""

import numpy as np
import pytest

from ebm_jax.data.sources.noise import open_noise
from ebm_jax.errors import DataError


def test_grey_values_are_uniform():
    images, labels = open_noise("test", (16, 16, 3)).read(np.arange(100))
    counts = np.bincount(np.ravel(images), minlength=256)
    expected = counts.sum() / 256  # 300
    assert ((counts - expected) ** 2 / expected).sum() < 350  # χ² of 255 degrees: 1 in 10 000
    assert set(labels) == {-1}


def test_images_are_always_the_same_and_all_different():
    source = open_noise("test", (8, 8, 1))
    (first, second), _ = source.read([3, 4])
    (again,), _ = open_noise("test", (8, 8, 1)).read([3])
    (other,), _ = open_noise("train", (8, 8, 1)).read([3])
    np.testing.assert_array_equal(first, again)
    assert (first != second).any() and (first != other).any()
    assert source.num_examples == 10_000


def test_unknown_split_is_refused():
    with pytest.raises(DataError, match="splits train and test, not 'validation'"):
        open_noise("validation", (8, 8, 1))
