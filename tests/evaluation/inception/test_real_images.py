"""The real network on real images: what its features know, and what FID makes of damage."""

import os

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from benchmarks import fid_damage
from ebm_jax.evaluation.inception import open_extractor

HAS_IMAGES = os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "cifar10_jpeg75"))
needs_images = pytest.mark.skipif(not HAS_IMAGES, reason="TFDS_DATA_DIR has no cifar10_jpeg75")


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
def test_linear_probe(real_weights):
    """Classes are linear in the features as only trained weights make them.

    Measured, by the number of training images: 500 72 %, 900 76 %, 2000 79 %, 3000 80 %.
    """
    images, labels = fid_damage.real_images(1300)
    features = open_extractor(["768"], weights=real_weights)(images)["768"]
    probe = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    probe.fit(features[300:], labels[300:])
    assert probe.score(features[:300], labels[:300]) > 0.7


@needs_images
@pytest.mark.slow
def test_fid_grows_with_damage(real_weights, features="192", count=220):
    """Blur, noise and lost classes; two sets of real images are the floor.

    docs/evaluation.md has the same with 768 features.
    """
    extractor = open_extractor([features], weights=real_weights)

    def extract(images):
        return extractor(images)[features]

    images, labels = fid_damage.real_images(4 * count)
    found = fid_damage.measure(extract, images, labels, extract(images), count)
    assert set(found) == {"blur", "noise", "dropped classes"}
    for damage, points in found.items():
        values = [value for _, value in points]
        assert values == sorted(values), damage
        assert values[-1] > 1.5 * values[0], damage
