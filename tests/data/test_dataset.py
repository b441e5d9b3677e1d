import subprocess
import sys

import numpy as np
import pytest

from ebm_jax.data import make_batch, open_dataset
from ebm_jax.errors import ConfigError, DataError


@pytest.fixture
def make_npz(tmp_path):
    def make(images, **arrays):
        path = tmp_path / "set.npz"
        np.savez(path, images=images, **arrays)
        return f"npz:{path}"

    return make


@pytest.mark.parametrize("cache_gib", [1.0, 0.0])
@pytest.mark.parametrize("image_size", [6, 3])
def test_same_pixels_from_memory_and_per_fetch(make_config, make_npz, rng, cache_gib, image_size):
    images = rng.integers(0, 256, (20, 6, 8, 3), dtype=np.uint8)
    name = make_npz(images, images_test=images, labels_test=np.arange(20))
    config = make_config(name=name, image_size=image_size, channels=3, cache_gib=cache_gib)
    dataset = open_dataset(config, "test")
    assert (dataset.num_examples, dataset.num_classes) == (20, 20)
    assert dataset.image_shape == (image_size, image_size, 3)
    fetched, labels = dataset.fetch(np.array([7, 3, 7]))
    assert fetched.dtype == np.uint8 and fetched.shape == (3, image_size, image_size, 3)
    assert labels.dtype == np.int32 and labels.tolist() == [7, 3, 7]
    np.testing.assert_array_equal(fetched[0], fetched[2])
    if image_size == 6:
        np.testing.assert_array_equal(fetched, images[[7, 3, 7], :, 1:7])
    np.testing.assert_array_equal(dataset.labels, np.arange(20))
    assert dataset.labels is dataset.labels


def test_fetched_images_may_be_changed(make_config):
    dataset = open_dataset(make_config(), "train")
    before, _ = dataset.fetch(np.array([0]))
    before[:] = 0
    after, _ = dataset.fetch(np.array([0]))
    assert after.max() > 0


def test_empty(make_config, make_npz):
    name = make_npz(np.zeros((0, 8, 8, 1), np.uint8))
    with pytest.raises(DataError, match="Split 'train' of npz:.* has no examples"):
        open_dataset(make_config(name=name), "train")


def test_wrong_channels_are_found_on_opening(make_config):
    with pytest.raises(DataError, match="digits train: .* set data.channels=1"):
        open_dataset(make_config(channels=3), "train")


@pytest.mark.parametrize("field, value", [("image_size", 0), ("channels", 0), ("crop", -1)])
def test_senseless_config(make_config, field, value):
    with pytest.raises(ConfigError, match=f"data.{field} is {value}"):
        open_dataset(make_config(**{field: value}), "train")


def test_import_is_cheap():
    code = (
        "import sys, ebm_jax.data; "
        "print([m for m in ('jax', 'tensorflow', 'tensorflow_datasets', 'sklearn')"
        " if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("cache_gib", [1.0, 0.0])
def test_held_out_class_is_in_no_training_batch_and_in_the_test_split(make_config, cache_gib):
    whole = make_config(cache_gib=cache_gib)
    config = make_config(cache_gib=cache_gib, held_out_class=3)
    train, test = (open_dataset(config, split) for split in ("train", "test"))
    of_class = int((open_dataset(whole, "train").labels == 3).sum())
    assert of_class > 100 and train.num_examples == 1438 - of_class
    assert test.num_examples == 359 and (test.labels == 3).sum() > 30
    assert train.labels.shape == (train.num_examples,) and train.num_classes == 10
    epoch = -(-train.num_examples // 16)
    batches = [make_batch(train, config, 0, k) for k in range(2 * epoch)]
    seen = np.concatenate([batch["label"] for batch in batches])
    assert set(seen.tolist()) == set(range(10)) - {3}
    again = make_batch(open_dataset(config, "train"), config, 0, epoch)
    np.testing.assert_array_equal(again["image"], batches[epoch]["image"])


def test_images_and_labels_still_belong_together_without_a_class(make_config, make_npz, rng):
    labels = np.arange(20) % 4
    images = np.broadcast_to(labels[:, None, None, None], (20, 8, 8, 1)).astype(np.uint8)
    name = make_npz(images, labels=labels, images_test=images, labels_test=labels)
    dataset = open_dataset(make_config(name=name, held_out_class=2, image_size=8), "train")
    fetched, found = dataset.fetch(np.arange(dataset.num_examples))
    np.testing.assert_array_equal(fetched[:, 0, 0, 0], labels[labels != 2])
    np.testing.assert_array_equal(found, labels[labels != 2])
    np.testing.assert_array_equal(dataset.labels, found)


@pytest.mark.parametrize("split", ["train", "test"])
def test_some_classes_alone_are_kept_in_every_split(make_config, split):
    whole = open_dataset(make_config(), split)
    some = open_dataset(make_config(classes=(0, 2)), split)
    kept = np.isin(whole.labels, (0, 2))
    assert some.name == "digits[0,2]"
    np.testing.assert_array_equal(some.labels, whole.labels[kept])
    everything = np.arange(some.num_examples)
    expected = whole.fetch(np.flatnonzero(kept))[0]
    np.testing.assert_array_equal(some.fetch(everything)[0], expected)
    held_out = open_dataset(make_config(classes=(0, 2), held_out_class=2), split)
    assert held_out.name == "digits[0,2]" + " without 2" * (split == "train")
    assert set(held_out.labels.tolist()) == ({0} if split == "train" else {0, 2})


def test_classes_that_do_not_exist(make_config):
    with pytest.raises(ConfigError, match=r"data.classes is \(0, 10\), .* 0 to 9, not all"):
        open_dataset(make_config(classes=(0, 10)), "train")
    with pytest.raises(ConfigError, match="leaves 1438 of the 1438"):
        open_dataset(make_config(classes=tuple(range(10))), "train")


@pytest.mark.parametrize("label", [10, -1])
def test_class_that_does_not_exist(make_config, label):
    message = f"held_out_class is {label}, .* 1438 of the 1438 examples of digits train.* 0 to 9"
    with pytest.raises(ConfigError, match=message):
        open_dataset(make_config(held_out_class=label), "train")


def test_held_out_class_needs_labels_and_another_split(make_config, make_npz):
    name = make_npz(np.zeros((20, 8, 8, 1), np.uint8))
    with pytest.raises(DataError, match="held_out_class is 1, but npz:.* has no labels"):
        open_dataset(make_config(name=name, held_out_class=1), "train")
    with pytest.raises(ConfigError, match="train_split and data.eval_split are both 'train'"):
        open_dataset(make_config(eval_split="train", held_out_class=1), "train")
