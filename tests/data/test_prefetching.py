import threading
import time

import pytest

from ebm_jax.data import prefetch


def prefetch_threads():
    return [t for t in threading.enumerate() if t.name == "prefetch"]


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_all_results_in_order(depth):
    assert list(prefetch(lambda k: k * k, 3, 8, depth)) == [(k, k * k) for k in range(3, 8)]
    assert not prefetch_threads()


@pytest.mark.parametrize("depth", [0, 2])
def test_empty_range(depth):
    assert list(prefetch(lambda k: 1 / 0, 5, 5, depth)) == []


def test_runs_ahead_by_depth_and_no_further():
    called = []
    batches = prefetch(lambda k: called.append(k) or k, 0, 100, depth=3)
    next(batches)
    deadline = time.monotonic() + 5
    while len(called) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert called == [0, 1, 2, 3]  # batch 0 is consumed, three wait
    batches.close()


@pytest.mark.parametrize("depth", [0, 2])
def test_exception_surfaces_after_the_batches_before_it(depth):
    def fn(k):
        if k == 2:
            raise ValueError("batch 2 is broken")
        return k

    seen = []
    with pytest.raises(ValueError, match="batch 2 is broken"):
        for k, _ in prefetch(fn, 0, 10, depth):
            seen.append(k)
    assert seen == [0, 1]
    assert not prefetch_threads()


def test_closing_stops_the_thread():
    called = []
    batches = prefetch(lambda k: called.append(k), 0, 10**9, depth=2)
    next(batches)
    start = time.monotonic()
    batches.close()
    assert time.monotonic() - start < 1.0
    assert not prefetch_threads()
    count = len(called)
    time.sleep(0.05)
    assert len(called) == count <= 4
