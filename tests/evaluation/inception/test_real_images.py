"""The real network on real images: what its features know, and what FID makes of damage."""

import os

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import fid_damage
from ebm_jax.evaluation.inception import open_extractor

HAS_IMAGES = os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "cifar10_jpeg75"))
needs_images = pytest.mark.skipif(not HAS_IMAGES, reason="TFDS_DATA_DIR has no cifar10_jpeg75")
COUNT = 780  # on each side; 769 are the least


@pytest.fixture(scope="module")
def extract(real_weights):
    extractor = open_extractor(["768"], weights=real_weights)
    return lambda images: extractor(images)["768"]


@pytest.fixture(scope="module")
def real(extract):
    """Images uint8 [2340, 32, 32, 3], their labels and their features."""
    images, labels = fid_damage.real_images(3 * COUNT)
    return images, labels, extract(images)


@needs_images
def test_features_reproduce_across_batch_sizes(real_weights):
    images, _ = fid_damage.real_images(12)
    one, five = (
        open_extractor(["768"], weights=real_weights, batch_size=size)(images)["768"]
        for size in (2, 10)
    )
    assert one.std() > 0.05
    np.testing.assert_allclose(one, five, atol=1e-5)


@needs_images
@pytest.mark.slow
def test_linear_probe(real):
    """Classes of CIFAR-10 are nearly linear in the features, as only trained weights make them."""
    _, labels, features = real
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.003, max_iter=500))
    probe.fit(features[COUNT:], labels[COUNT:])
    assert probe.score(features[:COUNT], labels[:COUNT]) > 0.8


@needs_images
@pytest.mark.slow
def test_fid_grows_with_damage(extract, real):
    """Blur, noise and lost classes; two halves of the real images are the floor."""
    found = fid_damage.measure(extract, *real)
    assert set(found) == {"blur", "noise", "dropped classes"}
    for damage, points in found.items():
        values = [value for _, value in points]
        assert values == sorted(values), damage
        assert values[-1] > 1.5 * values[0], damage
    assert found["blur"][-1][1] > 3 * found["blur"][0][1]
    assert found["noise"][-1][1] > 3 * found["noise"][0][1]
