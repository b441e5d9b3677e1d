import threading
import time

import numpy as np
import pytest

from ebm_jax.data import loading
from ebm_jax.data.loading import in_memory, load_examples
from ebm_jax.data.sources.base import array_source
from ebm_jax.errors import DataError


@pytest.mark.parametrize("threads_from", [0, 10**9])
def test_threads_keep_the_order(monkeypatch, rng, threads_from):
    monkeypatch.setattr(loading, "_THREADS_FROM", threads_from)
    images = rng.integers(0, 256, (600, 4, 4, 1), dtype=np.uint8)
    source = array_source("toy", "train", images, np.arange(600), num_classes=600)
    indices = rng.permutation(600)
    loaded, labels = load_examples(source, indices, 4, 1, 0)
    np.testing.assert_array_equal(loaded, images[indices])
    np.testing.assert_array_equal(labels, indices)
    assert labels.dtype == np.int32


@pytest.mark.parametrize("threads_from", [0, 10**9])
def test_error_names_the_example(monkeypatch, rng, threads_from):
    monkeypatch.setattr(loading, "_THREADS_FROM", threads_from)
    images = [np.zeros((4, 4, 1), np.uint8)] * 37 + [b"broken"]
    source = array_source("toy", "train", images, None, num_classes=0)
    with pytest.raises(DataError, match="example 37 of toy train cannot be decoded"):
        load_examples(source, np.arange(38), 4, 1, 0)


def test_in_memory_loads_once_from_any_thread():
    calls = []

    def load():
        calls.append(None)
        time.sleep(0.05)
        return "images", "labels"

    examples = in_memory(load)
    threads = [threading.Thread(target=examples) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert examples() == ("images", "labels")
    assert len(calls) == 1
