import numpy as np
import pytest

from ebm_jax.data import batch_indices
from ebm_jax.data.order import flips_at, splitmix64
from ebm_jax.errors import ConfigError


@pytest.mark.parametrize("batch_size", [1, 4, 10, 7, 23])
def test_every_example_once_per_epoch(batch_size):
    n, epochs = 10, 3
    batches = [batch_indices(5, k, batch_size, n) for k in range(-(-n * epochs // batch_size))]
    order = np.concatenate(batches)[: n * epochs].reshape(epochs, n)
    assert (np.sort(order, axis=1) == np.arange(n)).all()
    assert (order[0] != order[1]).any()  # a fresh permutation each epoch


def test_order_does_not_depend_on_batch_size():
    small = np.concatenate([batch_indices(1, k, 3, 7) for k in range(14)])
    large = np.concatenate([batch_indices(1, k, 21, 7) for k in range(2)])
    np.testing.assert_array_equal(small, large)


def test_order_depends_on_seed():
    assert (batch_indices(0, 0, 50, 50) != batch_indices(1, 0, 50, 50)).any()


def test_order_is_frozen():
    """A change here breaks the resuming of every old run."""
    np.testing.assert_array_equal(batch_indices(0, 0, 8, 8), [6, 3, 5, 0, 7, 2, 1, 4])
    np.testing.assert_array_equal(batch_indices(3, 1, 4, 6), [3, 4, 0, 3])
    assert batch_indices(0, 0, 8, 8).dtype == np.int64


def test_negative_seed():
    with pytest.raises(ConfigError, match="seed is -1: set it to 0 or more"):
        batch_indices(-1, 0, 4, 8)


def test_splitmix64_known_answers():
    """First three outputs of the reference C code for seed 0."""
    golden = 0x9E3779B97F4A7C15
    states = np.array([0, golden, (2 * golden) % 2**64], np.uint64)
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert splitmix64(states).tolist() == expected


def test_flips_are_fair_independent_coins():
    flips = flips_at(0, np.arange(20_000))
    other = flips_at(1, np.arange(20_000))
    assert flips.dtype == bool
    assert abs(flips.mean() - 0.5) < 0.02
    assert abs((flips[1:] == flips[:-1]).mean() - 0.5) < 0.02
    assert abs((flips == other).mean() - 0.5) < 0.02


def test_flip_depends_on_position_alone():
    np.testing.assert_array_equal(
        flips_at(3, np.arange(100))[40:60], flips_at(3, np.arange(40, 60))
    )
