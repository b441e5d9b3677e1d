"""Improved precision and recall (Kynkäänniemi et al. 2019, eqs. 1–2): k = 3 nearest neighbours.

A set's manifold is the union of balls around its points that reach to their k-th neighbour.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ebm_jax.errors import ConfigError

NEIGHBOURS = 3
_ROWS_AT_ONCE = 512


class PrecisionRecall(NamedTuple):
    """Both in [0, 1].

    Attributes:
      precision: fraction of samples within the real images' manifold.
      recall: fraction of real images within the samples' manifold.
    """

    precision: float
    recall: float


def precision_recall(
    real: np.ndarray, samples: np.ndarray, neighbours: int = NEIGHBOURS
) -> PrecisionRecall:
    """Precision and recall of samples; both depend on the sizes of the sets, so state them.

    Args:
      real: features [N, D] of real images.
      samples: features [M, D].
      neighbours: k; a point is no neighbour of itself.

    Returns:
      Both fractions. Memory is 512 rows of distances at a time.

    Raises:
      ConfigError: k or fewer rows, or different widths.
    """
    real, samples = np.asarray(real, np.float64), np.asarray(samples, np.float64)
    if real.ndim != 2 or samples.ndim != 2 or real.shape[1] != samples.shape[1]:
        raise ConfigError(
            "precision and recall compare features [N, D] of one network, but these are "
            f"{real.shape} and {samples.shape}."
        )
    if neighbours < 1 or min(len(real), len(samples)) <= neighbours:
        raise ConfigError(
            f"precision and recall with {neighbours} neighbours need more samples than that in "
            f"each set, but got {len(real)} and {len(samples)}."
        )
    return PrecisionRecall(_covered(samples, real, neighbours), _covered(real, samples, neighbours))


def _covered(points: np.ndarray, centres: np.ndarray, neighbours: int) -> float:
    """Fraction of points within the balls around `centres`."""
    radii = np.concatenate(
        [
            np.partition(block, neighbours, axis=1)[:, neighbours]  # 0 is the point itself
            for block in _squared_distances(centres, centres, same=True)
        ]
    )
    inside = [(b <= radii[None]).any(axis=1) for b in _squared_distances(points, centres)]
    return float(np.concatenate(inside).mean())


def _squared_distances(x: np.ndarray, y: np.ndarray, same: bool = False) -> Iterator[np.ndarray]:
    """Blocks [n, M] of rows of the distances from x [N, D] to y [M, D]."""
    squares = np.sum(y * y, axis=1)
    for start in range(0, len(x), _ROWS_AT_ONCE):
        rows = x[start : start + _ROWS_AT_ONCE]
        block = np.sum(rows * rows, axis=1)[:, None] + squares[None] - 2 * rows @ y.T
        if same:  # exact, whatever the rounding
            np.fill_diagonal(block[:, start:], 0.0)
        yield np.maximum(block, 0.0)
