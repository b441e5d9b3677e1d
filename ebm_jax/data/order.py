"""Which examples form batch k: a pure function of the seed and k, so resuming stores nothing."""

import functools

import numpy as np

from ebm_jax.errors import ConfigError

_FLIP_STREAM = 1
_GOLDEN = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def batch_positions(k: int, batch_size: int) -> np.ndarray:
    """Global positions of batch k, counted from the start of training: int64 [batch_size]."""
    return np.arange(k * batch_size, (k + 1) * batch_size, dtype=np.int64)


def batch_indices(seed: int, k: int, batch_size: int, n: int) -> np.ndarray:
    """Indices of the examples in batch k.

    Position i of training is example perm(seed, i // n)[i % n]: every epoch is a fresh
    permutation of all examples, and a batch may cross epochs.

    Args:
      seed: run seed, at least 0.
      k: number of the batch, from 0.
      batch_size: examples in a batch (may exceed n).
      n: examples in the data set.

    Returns:
      int64 [batch_size], in [0, n).

    Raises:
      ConfigError: the seed is negative.
    """
    return indices_at(seed, batch_positions(k, batch_size), n)


def indices_at(seed: int, positions: np.ndarray, n: int) -> np.ndarray:
    """Indices of the examples at global positions; see `batch_indices`.

    Args:
      seed: run seed, at least 0.
      positions: int64 [b].
      n: examples in the data set.

    Returns:
      int64 [b], in [0, n).
    """
    epochs, offsets = np.divmod(positions, n)
    indices = np.empty_like(positions)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        indices[here] = _permutation(int(seed), int(epoch), int(n))[offsets[here]]
    return indices


@functools.lru_cache(maxsize=4)
def _permutation(seed: int, epoch: int, n: int) -> np.ndarray:
    # RandomState, not Generator: NumPy promises that only its stream never changes.
    if seed < 0:
        raise ConfigError(f"seed is {seed}: set it to 0 or more.")
    bits = np.random.MT19937(np.random.SeedSequence([seed, epoch]))
    permutation = np.random.RandomState(bits).permutation(n).astype(np.int64)
    permutation.flags.writeable = False
    return permutation


def flips_at(seed: int, positions: np.ndarray) -> np.ndarray:
    """Fair coins that depend on the seed and the global position alone.

    Args:
      seed: run seed.
      positions: int64 [b].

    Returns:
      bool [b], True where the image is mirrored.
    """
    start = int(splitmix64(np.array([(seed + (_FLIP_STREAM << 32)) & _MASK], np.uint64))[0])
    counters = np.uint64(start) + positions.astype(np.uint64) * np.uint64(_GOLDEN)
    return (splitmix64(counters) >> np.uint64(63)).astype(bool)


def splitmix64(state: np.ndarray) -> np.ndarray:
    """Output of the SplitMix64 generator (Steele, Lea and Flood, 2014) for each state.

    A counter-based hash: unlike a stream it gives the bit of one position without drawing those
    before it.

    Args:
      state: uint64, any shape (an array: NumPy warns of overflow on scalars).

    Returns:
      uint64 of the same shape.
    """
    z = state + np.uint64(_GOLDEN)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
