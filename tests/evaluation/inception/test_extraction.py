"""Images to features: input, batches, devices; on real images with the real weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.inception.extraction import to_input
from ebm_jax.evaluation.inception.network import Inception
from ebm_jax.evaluation.inception.resizing import resize


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 12, 10, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def extractor(stem_weights):
    return open_extractor(["64"], weights=stem_weights, batch_size=4)


def test_bytes_are_scaled_as_in_the_2015_graph():
    values = np.array([0, 64, 128, 255], np.uint8)
    images = np.broadcast_to(values.reshape(4, 1, 1, 1), (4, 7, 5, 3))
    for mode in ("clean", "legacy"):
        x = to_input(jnp.asarray(images), mode)
        assert x.shape == (4, 299, 299, 3)
        np.testing.assert_allclose(x[:, 100, 200, 1], [-1.0, -0.5, 0.0, 127 / 128], atol=1e-5)


@pytest.mark.parametrize("mode", ["clean", "legacy"])
def test_input_is_resized_as_on_the_host(images, mode):
    expected = np.stack([(resize(image, 299, mode) - 128) / 128 for image in images])
    np.testing.assert_allclose(to_input(jnp.asarray(images), mode), expected, atol=2e-5)


def test_features_are_the_networks(extractor, images):
    """Two fake devices, batches of four with a padded last one: the numbers of one plain call."""
    assert jax.device_count() == 2
    x = to_input(jnp.asarray(images), "clean")
    plain = jax.jit(Inception(("64",)).apply)({"params": extractor.params}, x)["64"]
    got = extractor(images)["64"]
    assert got.shape == (5, 64) and got.dtype == np.float32
    np.testing.assert_allclose(got, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_batch_size_does_not_matter(extractor, images, batch_size):
    got = extractor._replace(batch_size=batch_size)(images)["64"]
    np.testing.assert_allclose(got, extractor(images)["64"], rtol=1e-5, atol=1e-5)


def test_grey_is_rgb_with_equal_channels(extractor, images):
    grey = images[..., :1]
    rgb = np.repeat(grey, 3, axis=-1)
    np.testing.assert_allclose(extractor(grey)["64"], extractor(rgb)["64"], rtol=1e-5, atol=1e-5)
    assert np.abs(extractor(grey)["64"] - extractor(images)["64"]).max() > 1e-3


def test_images_resized_on_the_host(extractor, images):
    """What a folder of many sizes goes through."""
    resized = np.stack([resize(image, 299, "clean") for image in images])
    np.testing.assert_allclose(
        extractor(resized)["64"], extractor(images)["64"], rtol=1e-4, atol=1e-4
    )


def test_resize_modes_differ(extractor, images):
    legacy = extractor._replace(resize="legacy")
    assert np.abs(legacy(images)["64"] - extractor(images)["64"]).max() > 1e-3


def test_other_images_are_refused(extractor, images):
    for bad in (images / 255.0, images[0], images[..., :2], images.astype(np.int64)):
        with pytest.raises(DataError, match="takes uint8 images"):
            extractor(bad)
    with pytest.raises(DataError, match="no images"):
        extractor(images[:0])


def test_bad_settings(stem_weights):
    with pytest.raises(ConfigError, match="resize mode is 'best'"):
        open_extractor(["64"], "best", stem_weights)
    with pytest.raises(ConfigError, match="batch size of Inception is 0"):
        open_extractor(["64"], weights=stem_weights, batch_size=0)
