import json
import os
import re
import sys

import numpy as np
import pytest

from ebm_jax.data import batch_indices, fill_in, make_batch, open_dataset
from ebm_jax.errors import DataError

HAS_MNIST = os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "mnist"))


@pytest.fixture
def empty_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    return str(tmp_path)


@pytest.fixture
def toy(rng):
    return rng.integers(0, 256, (10, 8, 8, 1), dtype=np.uint8), np.arange(10) % 3


@pytest.mark.parametrize("cache_gib", [0.0, 1.0])
@pytest.mark.parametrize("channels", [1, 3])
def test_exact_pixels_and_labels(write_tfds, make_config, rng, capfd, cache_gib, channels):
    images = rng.integers(0, 256, (10, 8, 8, channels), dtype=np.uint8)
    write_tfds(images, np.arange(10) % 3)
    config = make_config(name="toy", channels=channels, cache_gib=cache_gib)
    dataset = open_dataset(config, "train")
    assert (dataset.num_examples, dataset.num_classes) == (10, 3)
    fetched, labels = dataset.fetch(np.array([9, 0, 9, 4]))
    np.testing.assert_array_equal(fetched, images[[9, 0, 9, 4]])
    assert labels.tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(dataset.labels, np.arange(10) % 3)
    assert capfd.readouterr() == ("", "")
    assert "tensorflow" not in sys.modules


def test_split_slice(write_tfds, make_config, toy):
    write_tfds(*toy)
    dataset = open_dataset(make_config(name="toy"), "train[80%:]")
    images, _ = dataset.fetch(np.arange(dataset.num_examples))
    np.testing.assert_array_equal(images, toy[0][8:])


def test_without_labels(write_tfds, make_config, toy):
    write_tfds(toy[0])
    dataset = open_dataset(make_config(name="toy", cache_gib=0.0), "train")
    assert dataset.num_classes == 0
    assert dataset.labels.tolist() == [-1] * 10
    assert dataset.fetch(np.array([0, 1]))[1].tolist() == [-1, -1]


@pytest.mark.parametrize(
    "name, shape, classes", [("celeb_a", (218, 178, 3), 0), ("mnist", (28, 28, 1), 10)]
)
def test_features_of_known_names(make_config, encode_png, rng, name, shape, classes):
    """The records are a plain list here; names, features and splits are tfds' own."""
    import tensorflow_datasets as tfds

    images = rng.integers(0, 256, (4, *shape), dtype=np.uint8)
    records = [{"image": encode_png(x), "label": i, "attributes": {}} for i, x in enumerate(images)]
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split, decoders: records):
        config = make_config(name=name, image_size=28, channels=shape[2], crop=28)
        dataset = open_dataset(config, "train")
    fetched, labels = dataset.fetch(np.arange(4))
    top, left = (shape[0] - 28) // 2, (shape[1] - 28) // 2
    np.testing.assert_array_equal(fetched, images[:, top : top + 28, left : left + 28])
    assert dataset.num_classes == classes
    assert labels.tolist() == ([0, 1, 2, 3] if classes else [-1] * 4)


def test_booleans_of_celeb_a(make_config, encode_png, rng):
    """Names and types are tfds' own; the records are a list."""
    import tensorflow_datasets as tfds

    images = rng.integers(0, 256, (6, 218, 178, 3), dtype=np.uint8)
    smiling, male = np.array([0, 1, 1, 0, 1, 0]), np.array([1, 1, 0, 0, 1, 0])
    records = [
        {"image": encode_png(x), "attributes": {"Smiling": bool(a), "Male": bool(b)}}
        for x, a, b in zip(images, smiling, male, strict=True)
    ]
    config = make_config(name="celeb_a", image_size=8, channels=3, batch_size=4)
    config.attributes, config.attribute_edges = (("Smiling", 2), ("Male", 2)), None
    with tfds.testing.mock_data(as_data_source_fn=lambda self, split, decoders: records):
        dataset = open_dataset(config, "train")
    fill_in(config, dataset)
    assert config.attribute_edges == ((), ())
    batch = make_batch(dataset, config, 0, 0)
    order = batch_indices(0, 0, 4, 6)
    np.testing.assert_array_equal(batch["attributes"], np.stack([smiling, male], 1)[order])
    with pytest.raises(DataError, match="'Beard', which celeb_a has not; .*its own: 5_o_Clock_Sh"):
        dataset.read_attribute("Beard")


@pytest.mark.parametrize("name", ["cifar10", "celeb_a_hq/256"])
def test_not_prepared(empty_dir, make_config, name):
    with pytest.raises(DataError) as error:
        open_dataset(make_config(name=name, channels=3), "train")
    message = str(error.value)
    assert f"'{name}' is not prepared, there is no '{empty_dir}/{name}/" in message
    assert "`pip install -r requirements-prepare.txt`" in message
    assert f"`tfds build {name} --file_format=array_record --data_dir={empty_dir}`" in message


def test_other_version_is_mentioned(empty_dir, make_config):
    os.makedirs(os.path.join(empty_dir, "cifar10", "1.2.3"))
    with pytest.raises(DataError, match=r"beside 1\.2\.3 \(NAME:VERSION opens one\)"):
        open_dataset(make_config(name="cifar10"), "train")


def test_prepared_as_tfrecord(write_tfds, make_config, toy):
    root = write_tfds(*toy, file_format="tfrecord")
    with pytest.raises(DataError) as error:
        open_dataset(make_config(name="toy"), "train")
    message = str(error.value)
    assert f"'{root}/toy/1.0.0' in a format that only TensorFlow reads: delete" in message
    assert "tfds build toy --file_format=array_record" in message


@pytest.mark.parametrize(
    "name, message",
    [
        ("mnits", "There is no data set 'mnits', .*: set data.name to mnist"),
        ("qqqqqq", "There is no data set 'qqqqqq', .*: correct data.name"),
        ("celeb_a_hq/257", "'celeb_a_hq' has no configuration '257': .* celeb_a_hq/256"),
        ("mnist/x", "'mnist' has no configuration 'x'"),
        ("mnist:0.0.1", "cannot open 'mnist:0.0.1' .Dataset mnist cannot be loaded at version"),
        ("huggingface:mnist", "'huggingface:mnist' starts with an unknown prefix"),
        ("", "cannot open ''"),
    ],
)
def test_unknown_names(empty_dir, make_config, name, message):
    with pytest.raises(DataError, match=message):
        open_dataset(make_config(name=name), "train")


@pytest.mark.parametrize("split", ["tset", "train[:0%]", "train[", ""])
def test_bad_splits(write_tfds, make_config, toy, split):
    write_tfds(*toy)
    message = f"Split {re.escape(repr(split))} of toy in .* or is empty .*: choose one of train, or"
    with pytest.raises(DataError, match=message):
        open_dataset(make_config(name="toy"), split)


def test_no_image_feature(write_tfds, make_config, toy):
    write_tfds(*toy, key="picture")
    with pytest.raises(DataError, match="has no feature `image` but label, picture"):
        open_dataset(make_config(name="toy"), "train")


def test_wrong_dtype(write_tfds, make_config, toy):
    write_tfds(*toy, dtype="uint16")
    with pytest.raises(DataError, match=r"images of dtype uint16 and shape \(8, 8, 1\)"):
        open_dataset(make_config(name="toy"), "train")


def test_undecodable_example_is_named(write_tfds, make_config, toy):
    write_tfds([toy[0][0], b"broken"])
    dataset = open_dataset(make_config(name="toy"), "train")
    with pytest.raises(DataError, match="example 1 of toy train cannot be decoded .*its 6 bytes"):
        dataset.fetch(np.array([0]))


def test_damaged_shard(write_tfds, make_config, toy):
    root = write_tfds(*toy)
    (shard,) = (root / "toy" / "1.0.0").glob("*.array_record-*")
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(DataError):
        open_dataset(make_config(name="toy"), "train").fetch(np.arange(10))


def test_metadata_that_is_no_json(write_tfds, make_config, toy):
    root = write_tfds(*toy)
    info = root / "toy" / "1.0.0" / "dataset_info.json"
    info.write_text(json.dumps(json.loads(info.read_text()))[:-5])
    with pytest.raises(DataError):
        open_dataset(make_config(name="toy"), "train")


@pytest.mark.skipif(not HAS_MNIST, reason="TFDS_DATA_DIR has no mnist")
def test_real_mnist(make_config):
    train = open_dataset(make_config(name="mnist", image_size=28, cache_gib=0.0), "train[:80%]")
    test = open_dataset(make_config(name="mnist", image_size=28), "test")
    assert (train.num_examples, test.num_examples, test.num_classes) == (48_000, 10_000, 10)
    images, labels = test.fetch(np.arange(10_000))
    # Class counts and mean of the original test set.
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert images.mean() / 255 == pytest.approx(0.1325, abs=1e-4)
