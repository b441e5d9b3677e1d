"""Kernel inception distance (Bińkowski et al. 2018): unbiased, so fit for few samples."""

from typing import NamedTuple

import numpy as np

from ebm_jax.errors import ConfigError

SUBSETS, SUBSET_SIZE = 100, 1000
_ROWS_AT_ONCE = 1024


class Kid(NamedTuple):
    """Mean and standard deviation over subsets; the deviation of one set alone is None."""

    mean: float
    std: float | None


def polynomial_mmd(x: np.ndarray, y: np.ndarray) -> float:
    """Unbiased estimate of the squared MMD (Gretton et al. 2012, eq. 3; KID's kernel).

    k(a, b) = (a·b / D + 1)³; the sums within a set leave out the diagonal. Its expectation is 0 for
    two samples of one distribution, so it may be negative.

    Args:
      x: [N, D], N ≥ 2, any real dtype.
      y: [M, D], M ≥ 2.

    Returns:
      The estimate, in float64.

    Raises:
      ConfigError: fewer than two rows, or different widths.
    """
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ConfigError(
            f"KID compares features [N, D] of one network, but these are {x.shape} and {y.shape}."
        )
    n, m = len(x), len(y)
    if min(n, m) < 2:
        raise ConfigError(f"KID needs at least 2 samples of each set, but got {n} and {m}.")
    within = _kernel_sum(x, x) - _kernel(np.sum(x * x, axis=1), x.shape[1]).sum()
    within_y = _kernel_sum(y, y) - _kernel(np.sum(y * y, axis=1), x.shape[1]).sum()
    cross = _kernel_sum(x, y)
    return float(within / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * cross / (n * m))


def kid(
    x: np.ndarray,
    y: np.ndarray,
    subsets: int = SUBSETS,
    subset_size: int | None = SUBSET_SIZE,
    seed: int = 0,
) -> Kid:
    """Mean of `polynomial_mmd` over random subsets of both sets.

    Args:
      x: features [N, D].
      y: features [M, D].
      subsets: how many.
      subset_size: rows of each set in a subset, without replacement; None, or more rows than the
        smaller set has, compares the whole sets once.
      seed: of the subsets.

    Returns:
      The mean and its spread over subsets.

    Raises:
      ConfigError: as `polynomial_mmd`, or no subsets.
    """
    if subsets < 1:
        raise ConfigError(f"KID is a mean over {subsets} subsets; use at least 1.")
    if subset_size is None or subset_size >= min(len(x), len(y)):
        return Kid(polynomial_mmd(x, y), None)
    rng = np.random.default_rng(seed)
    found = [
        polynomial_mmd(
            x[rng.choice(len(x), subset_size, replace=False)],
            y[rng.choice(len(y), subset_size, replace=False)],
        )
        for _ in range(subsets)
    ]
    return Kid(float(np.mean(found)), float(np.std(found)))


def _kernel(products: np.ndarray, width: int) -> np.ndarray:
    return (products / width + 1.0) ** 3


def _kernel_sum(x: np.ndarray, y: np.ndarray) -> float:
    rows = range(0, len(x), _ROWS_AT_ONCE)
    return sum(_kernel(x[i : i + _ROWS_AT_ONCE] @ y.T, x.shape[1]).sum() for i in rows)
