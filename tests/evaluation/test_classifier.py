"""The classifier behind `fd_classifier`: accuracy, determinism, cache, and what the metric sees."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits

from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation import classifier as training
from ebm_jax.evaluation import fd_classifier as caching
from ebm_jax.evaluation.classifier import FEATURE_WIDTH, accuracy, features, train_classifier
from ebm_jax.evaluation.fd_classifier import classifier_for, fd_classifier
from ebm_jax.evaluation.frechet import moments

TFDS_DATA_DIR = os.environ.get("TFDS_DATA_DIR", "")


@pytest.fixture(scope="module")
def digits():
    data = load_digits()
    images = np.round(data.images / 16 * 255).astype(np.uint8)[..., None]  # [1797, 8, 8, 1]
    held_out = np.arange(len(images)) % 5 == 4
    train = images[~held_out], data.target[~held_out]
    return *train, images[held_out] / 127.5 - 1.0, data.target[held_out]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def classifier(digits, cache):
    return classifier_for("sklearn:digits/8x8", digits[0], digits[1], cache)


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(training, "_MIN_STEPS", 2)
    monkeypatch.setattr(training, "_MAX_STEPS", 2)


@pytest.fixture
def no_training(monkeypatch):
    def refuse(*_):
        raise AssertionError("trained although the cache holds this classifier")

    monkeypatch.setattr(caching, "train_classifier", refuse)


def leaves(params):
    return {f"{a}/{b}": value for a, layer in params.items() for b, value in layer.items()}


def assert_same_bits(a, b):
    assert leaves(a).keys() == leaves(b).keys()
    for name, value in leaves(a).items():
        assert value.dtype == leaves(b)[name].dtype
        np.testing.assert_array_equal(value, leaves(b)[name], err_msg=name)


def test_accuracy_on_held_out_digits(classifier, digits):
    _, _, images, labels = digits
    assert accuracy(classifier.params, images, labels) > 0.97
    assert accuracy(classifier.params, images, (labels + 1) % 10) < 0.03


def test_features_shape_type_and_batches(classifier, digits):
    images = digits[2][:70]
    got = features(classifier.params, images)
    assert got.shape == (70, FEATURE_WIDTH) and got.dtype == np.float32
    np.testing.assert_allclose(features(classifier.params, images, batch_size=32), got, atol=1e-4)
    assert features(classifier.params, images[:0]).shape == (0, FEATURE_WIDTH)


def test_samples_are_clipped_and_not_stretched(classifier, digits):
    images = digits[2][:70]
    outside = np.where(images == 1.0, 5.0, np.where(images == -1.0, -3.0, images))
    reference = features(classifier.params, images)
    np.testing.assert_array_equal(features(classifier.params, outside), reference)
    assert np.abs(features(classifier.params, 0.5 * images) - reference).max() > 0.1


def test_uint8_is_the_same_image(classifier, digits):
    raw = digits[0][:70]
    as_float = raw.astype(np.float32) / 127.5 - 1.0
    np.testing.assert_allclose(
        features(classifier.params, raw), features(classifier.params, as_float), atol=1e-4
    )


def test_training_is_deterministic_in_the_seed(few_steps, digits):
    images, labels = digits[0], digits[1]
    first = train_classifier(images, labels, seed=3)
    assert_same_bits(first, train_classifier(images, labels, seed=3))
    other = train_classifier(images, labels, seed=4)
    assert not np.array_equal(first["Dense_0"]["kernel"], other["Dense_0"]["kernel"])


def test_unlabelled_images_are_left_out(few_steps, digits):
    images, labels = digits[0][:300], digits[1][:300].copy()
    labels[200:] = -1
    with_junk = images.copy()
    with_junk[200:] = 255
    assert_same_bits(train_classifier(images, labels), train_classifier(with_junk, labels))


def test_distance_of_data_noise_and_blur(classifier, digits):
    rng = np.random.default_rng(0)
    test = digits[2]
    held_out = fd_classifier(classifier, test)
    assert 0.0 < held_out < 5.0
    noise = rng.uniform(-1.0, 1.0, size=test.shape)
    assert fd_classifier(classifier, noise) > 10 * held_out
    assert fd_classifier(classifier, gaussian_filter(test, (0, 1, 1, 0))) > 5 * held_out
    # A model that has lost a mode is worse, though each of its images is real.
    assert fd_classifier(classifier, test[digits[3] != 1]) > 1.5 * held_out


def test_distance_grows_with_noise(classifier, digits):
    noise = np.random.default_rng(0).normal(size=digits[2].shape)
    distances = [fd_classifier(classifier, digits[2] + s * noise) for s in (0, 0.1, 0.3, 0.6, 1.2)]
    assert distances == sorted(distances) and len(set(distances)) == 5


def test_reference_is_the_whole_training_split(classifier, digits):
    assert classifier.reference.count == len(digits[0])
    np.testing.assert_allclose(
        classifier.reference.mean, moments(features(classifier.params, digits[0])).mean
    )
    assert fd_classifier(classifier, digits[0]) < 1e-6


def test_cache_hit_has_the_same_bits_and_does_not_train(no_training, classifier, digits, cache):
    again = classifier_for("sklearn:digits/8x8", digits[0], digits[1].astype(np.int32), str(cache))
    assert_same_bits(again.params, classifier.params)
    for one, other in zip(again.reference, classifier.reference, strict=True):
        np.testing.assert_array_equal(one, other)
    assert again.image_shape == classifier.image_shape == (8, 8, 1)
    assert again.fingerprint == classifier.fingerprint
    (path,) = Path(cache, "fd_classifier").iterdir()
    assert path.name.startswith("sklearn_digits_8x8-") and path.suffix == ".npz"


def test_changed_data_is_another_file(few_steps, digits, tmp_path, monkeypatch):
    monkeypatch.setenv("EBM_JAX_CACHE", str(tmp_path))
    images, labels = digits[0][:200], digits[1][:200]
    classifier_for("../up", images, labels)
    changed = labels.copy()
    changed[0] = (changed[0] + 1) % 10
    classifier_for("../up", images, changed)
    names = sorted(path.name for path in (tmp_path / "fd_classifier").iterdir())
    assert len(names) == 2 and all(name.startswith("up-") for name in names)


@pytest.mark.parametrize("damage", ["truncate", "flip", "empty", "garbage", "foreign"])
def test_damaged_cache_is_trained_again(few_steps, digits, tmp_path, damage):
    images, labels = digits[0][:200], digits[1][:200]
    good = classifier_for("d", images, labels, tmp_path)
    (path,) = (tmp_path / "fd_classifier").iterdir()
    data = bytearray(path.read_bytes())
    if damage == "foreign":
        np.savez(path, mean=np.zeros(3))
    else:
        data[len(data) // 2] ^= 0xFF
        half = data[: len(data) // 2]
        path.write_bytes({"truncate": half, "flip": data, "empty": b""}.get(damage, b"no" * 99))
    with pytest.warns(UserWarning, match="trained again"):
        assert_same_bits(classifier_for("d", images, labels, tmp_path).params, good.params)
    assert_same_bits(classifier_for("d", images, labels, tmp_path).params, good.params)
    assert [entry.suffix for entry in path.parent.iterdir()] == [".npz"]


def test_unwritable_cache_only_warns(few_steps, digits, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.warns(UserWarning, match="cannot be cached"):
        got = classifier_for("d", digits[0][:200], digits[1][:200], blocked)
    assert got.reference.count == 200


def test_concurrent_writers(few_steps, digits, tmp_path):
    images, labels = digits[0][:200], digits[1][:200]
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(classifier_for("d", images, labels, tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.fingerprint for one in found}) == 1 and len(found) == 4
    assert len(list((tmp_path / "fd_classifier").iterdir())) == 1


@pytest.mark.parametrize("label", [-1, 3])
def test_missing_labels_are_refused(digits, tmp_path, label):
    with pytest.raises(DataError, match="fd_classifier needs labels"):
        classifier_for("d", digits[0], np.full(len(digits[0]), label), tmp_path)


def test_malformed_training_data_is_refused(digits):
    images, labels = digits[0], digits[1]
    with pytest.raises(DataError, match="integer labels"):
        train_classifier(images, labels[:-1])
    with pytest.raises(DataError, match="integer labels"):
        train_classifier(images, labels.astype(float))
    with pytest.raises(DataError, match="rescale"):
        train_classifier(images.astype(np.float32), labels)
    with pytest.raises(DataError, match="rescale"):
        train_classifier(np.full(images.shape, np.nan), labels)


def test_unusable_samples_are_refused(classifier, digits):
    test = digits[2]
    with pytest.raises(ConfigError, match="at least 65 samples"):
        fd_classifier(classifier, test[:64])
    assert np.isfinite(fd_classifier(classifier, test[:65]))
    with pytest.raises(DataError, match="shape"):
        fd_classifier(classifier, np.zeros((100, 28, 28, 1)))
    for bad in (np.nan, np.inf):
        broken = test.copy()
        broken[0, 0, 0, 0] = bad
        with pytest.raises(ValueError, match="finite"):
            fd_classifier(classifier, broken)


@pytest.mark.slow
@pytest.mark.skipif(
    not Path(TFDS_DATA_DIR, "mnist").is_dir() or not TFDS_DATA_DIR,
    reason="TFDS_DATA_DIR has no mnist",
)
def test_mnist(tmp_path):
    import tensorflow_datasets as tfds

    builder = tfds.builder("mnist", data_dir=TFDS_DATA_DIR)
    splits = {}
    for split in ("train", "test"):
        pairs = [(row["image"], row["label"]) for row in builder.as_data_source(split)]
        splits[split] = np.stack([x for x, _ in pairs]), np.array([y for _, y in pairs])
    classifier = classifier_for("mnist", *splits["train"], tmp_path)
    images = splits["test"][0] / 127.5 - 1.0
    assert accuracy(classifier.params, images, splits["test"][1]) > 0.985
    held_out = fd_classifier(classifier, images)
    assert held_out < 1.0
    assert fd_classifier(classifier, gaussian_filter(images, (0, 1, 1, 0))) > 10 * held_out
