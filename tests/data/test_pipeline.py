import os

import numpy as np
import pytest

from ebm_jax.data import batch_indices, eval_batches, make_batch, open_dataset
from ebm_jax.data.order import flips_at
from ebm_jax.errors import ConfigError


@pytest.fixture
def config(make_config, tmp_path, rng):
    """50 examples whose label is their index."""
    images = rng.integers(0, 256, (50, 8, 8, 1), dtype=np.uint8)
    path = tmp_path / "set.npz"
    np.savez(path, images_train=images, labels_train=np.arange(50))
    return make_config(name=f"npz:{path}", batch_size=12)


def test_batch_holds_the_ordered_examples_in_range(config):
    dataset = open_dataset(config, "train")
    batch = make_batch(dataset, config, seed=4, k=3)
    np.testing.assert_array_equal(batch["label"], batch_indices(4, 3, 12, 50))
    assert {k: (v.dtype.name, v.shape) for k, v in batch.items()} == {
        "image": ("float32", (12, 8, 8, 1)),
        "label": ("int32", (12,)),
        "index": ("int32", (12,)),
    }
    pixels, _ = dataset.fetch(batch["label"])
    np.testing.assert_allclose(batch["image"], pixels / 127.5 - 1.0, atol=1e-6)


@pytest.mark.parametrize("process_count", [1, 2, 3])
def test_processes_share_the_global_batch(config, process_count):
    config.flip = True
    dataset = open_dataset(config, "train")
    whole = make_batch(dataset, config, 0, 7)
    np.testing.assert_array_equal(whole["index"], np.arange(12))
    parts = [make_batch(dataset, config, 0, 7, p, process_count) for p in range(process_count)]
    for key in whole:
        np.testing.assert_array_equal(np.concatenate([p[key] for p in parts]), whole[key])


def test_flips_mirror_columns_by_global_position(config):
    dataset = open_dataset(config, "train")
    plain = make_batch(dataset, config, 2, 5)["image"]
    config.flip = True
    mirrored = make_batch(dataset, config, 2, 5)["image"]
    flips = flips_at(2, np.arange(60, 72))
    assert 0 < flips.sum() < 12
    np.testing.assert_array_equal(mirrored[flips], plain[flips][:, :, ::-1])
    np.testing.assert_array_equal(mirrored[~flips], plain[~flips])
    np.testing.assert_array_equal(make_batch(dataset, config, 2, 5)["image"], mirrored)


def test_batch_larger_than_the_data_set(config):
    config.batch_size = 120
    labels = make_batch(open_dataset(config, "train"), config, 0, 0)["label"]
    counts = np.bincount(labels, minlength=50)
    assert counts.min() >= 2 and counts.max() <= 3


@pytest.mark.parametrize("batch_size, processes", [(12, 5), (0, 1)])
def test_batch_size_must_divide(config, batch_size, processes):
    dataset = open_dataset(config, "train")
    config.batch_size = batch_size
    with pytest.raises(ConfigError, match=f"data.batch_size is {batch_size} .* of {processes}"):
        make_batch(dataset, config, 0, 0, 0, processes)


def test_eval_batches_go_through_the_split_once(config):
    config.flip = True
    dataset = open_dataset(config, "train")
    batches = list(eval_batches(dataset, config, 20))
    assert [len(b["image"]) for b in batches] == [20, 20, 10]
    np.testing.assert_array_equal(np.concatenate([b["index"] for b in batches]), np.arange(50))
    np.testing.assert_array_equal(np.concatenate([b["label"] for b in batches]), np.arange(50))
    pixels, _ = dataset.fetch(np.arange(50))
    images = np.concatenate([b["image"] for b in batches])
    np.testing.assert_allclose(images, pixels / 127.5 - 1.0, atol=1e-6)
    assert batches[0]["index"].dtype == np.int32


def test_eval_batch_size(config):
    with pytest.raises(ConfigError, match="batch size is 0"):
        next(eval_batches(open_dataset(config, "train"), config, 0))


@pytest.mark.skipif(
    not os.path.isdir(os.path.join(os.environ.get("TFDS_DATA_DIR", ""), "mnist")),
    reason="TFDS_DATA_DIR has no mnist",
)
def test_batches_of_real_mnist(make_config):
    config = make_config(name="mnist", image_size=28, batch_size=64, cache_gib=0.0)
    batch = make_batch(open_dataset(config, "train"), config, 0, 0)
    assert batch["image"].shape == (64, 28, 28, 1)
    assert 0.10 < (batch["image"].mean() + 1) / 2 < 0.16  # MNIST's mean is 0.1307
