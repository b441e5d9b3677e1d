import numpy as np
import pytest
from sklearn.datasets import load_digits

from ebm_jax.data import open_dataset
from ebm_jax.errors import DataError


def test_every_fifth_example_is_test(make_config):
    digits = load_digits()
    held_out = np.arange(1797) % 5 == 4
    for split, chosen, count in (("train", ~held_out, 1438), ("test", held_out, 359)):
        dataset = open_dataset(make_config(), split)
        assert (dataset.name, dataset.split, dataset.num_classes) == ("digits", split, 10)
        assert dataset.num_examples == count
        images, labels = dataset.fetch(np.arange(count))
        np.testing.assert_array_equal(labels, digits.target[chosen])
        assert (images.min(), images.max()) == (0, 255)
        np.testing.assert_allclose(images[..., 0] / 255 * 16, digits.images[chosen], atol=0.04)


def test_unknown_split(make_config):
    with pytest.raises(DataError, match="digits has the splits train and test, not 'val'"):
        open_dataset(make_config(), "val")
