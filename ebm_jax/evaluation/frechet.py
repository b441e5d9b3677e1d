"""Fréchet distance between Gaussian fits of two sets of features.

Every number here is float64 NumPy: the distance is a small difference of large traces, which
single precision does not survive. Features may arrive in chunks; the running scatter is merged
by the pairwise update of Chan, Golub & LeVeque (1983), which has no cancellation of the kind
that E[x x^T] - mu mu^T suffers from.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

_ROWS_AT_ONCE = 8192


class Moments(NamedTuple):
    """Gaussian fit of a set of features.

    Attributes:
        mean: float64 [D].
        covariance: float64 [D, D], symmetric, normalised by count - 1.
        count: number of rows the fit was made from.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int


class MomentsAccumulator(NamedTuple):
    """Running moments of the rows seen so far.

    Attributes:
        count: number of rows seen.
        mean: float64 [D].
        scatter: float64 [D, D], sum over rows of (x - mean)(x - mean)^T.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray


def empty_accumulator(dim: int) -> MomentsAccumulator:
    """Returns the accumulator of no rows of width `dim`, the identity of `merge`."""
    return MomentsAccumulator(0, np.zeros(dim), np.zeros((dim, dim)))


def merge(a: MomentsAccumulator, b: MomentsAccumulator) -> MomentsAccumulator:
    """Merges two disjoint sets of rows (Chan, Golub & LeVeque 1983, eq. 2.1).

    Args:
        a: accumulator of width D.
        b: accumulator of width D.

    Returns:
        The accumulator of the union, the same up to rounding in either order.

    Raises:
        ValueError: the widths differ.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"Moments of {a.mean.shape[0]}-d and {b.mean.shape[0]}-d features cannot be merged; "
            "take both from the same network."
        )
    count = a.count + b.count
    if count == 0:
        return a
    delta = b.mean - a.mean  # [D]
    mean = a.mean + delta * (b.count / count)
    scatter = a.scatter + b.scatter + np.outer(delta, delta) * (a.count * b.count / count)
    return MomentsAccumulator(count, mean, scatter)


def accumulate(accumulator: MomentsAccumulator, features: np.ndarray) -> MomentsAccumulator:
    """Adds rows to running moments.

    Args:
        accumulator: moments so far, of width D.
        features: [N, D], any real dtype; N may be 0.

    Returns:
        A new accumulator; the old one is not changed.

    Raises:
        ValueError: the features are not a matrix, not of width D, or not all finite.
    """
    features = np.asarray(features)
    if features.ndim != 2:
        raise ValueError(f"Features must be a matrix [N, D], but their shape is {features.shape}.")
    for start in range(0, len(features), _ROWS_AT_ONCE):
        rows = features[start : start + _ROWS_AT_ONCE].astype(np.float64)  # [n, D]
        finite = np.isfinite(rows).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"Features must be finite, but {int((~finite).sum())} of rows {start} to "
                f"{start + len(rows) - 1} hold NaN or infinity; look at the images they came from."
            )
        mean = rows.mean(axis=0)
        centred = rows - mean[None]
        accumulator = merge(accumulator, MomentsAccumulator(len(rows), mean, centred.T @ centred))
    return accumulator


def finalize(accumulator: MomentsAccumulator) -> Moments:
    """Turns running moments into a Gaussian fit with the n - 1 covariance.

    Args:
        accumulator: at least two rows.

    Returns:
        The fit.

    Raises:
        ValueError: fewer than two rows were seen.
    """
    if accumulator.count < 2:
        raise ValueError(
            f"A covariance needs at least 2 feature rows, but there are {accumulator.count}."
        )
    covariance = accumulator.scatter / (accumulator.count - 1)
    return Moments(accumulator.mean, 0.5 * (covariance + covariance.T), accumulator.count)


def moments(features: np.ndarray) -> Moments:
    """Fits a Gaussian to a feature matrix.

    Args:
        features: [N, D], N >= 2, any real dtype.

    Returns:
        Mean and n - 1 covariance in float64.

    Raises:
        ValueError: the features are not a finite matrix of at least two rows.
    """
    return moments_of_chunks([features])


def moments_of_chunks(chunks: Iterable[np.ndarray]) -> Moments:
    """Fits a Gaussian to features that arrive in chunks, holding one chunk at a time.

    Args:
        chunks: matrices [N_i, D]; the sizes may differ and do not matter to the result.

    Returns:
        `moments` of the concatenation, up to rounding.

    Raises:
        ValueError: as `moments`, or the widths of the chunks differ.
    """
    accumulator = None
    for chunk in chunks:
        chunk = np.asarray(chunk)
        if accumulator is None:
            accumulator = empty_accumulator(chunk.shape[-1] if chunk.ndim else 0)
        accumulator = accumulate(accumulator, chunk)
    return finalize(empty_accumulator(0) if accumulator is None else accumulator)


def frechet_distance(a: Moments, b: Moments) -> float:
    """Squared 2-Wasserstein distance of two Gaussians (Dowson & Landau 1982, eq. 4).

    ||mu_1 - mu_2||^2 + tr(S_1 + S_2 - 2 (S_1^(1/2) S_2 S_1^(1/2))^(1/2)). The inner matrix is
    symmetric and has the eigenvalues of S_1 S_2, so `eigvalsh` replaces the general matrix square
    root, which turns complex or fails on covariances without full rank.

    Args:
        a: moments of width D.
        b: moments of width D.

    Returns:
        The distance, >= 0.

    Raises:
        ValueError: the widths differ, or a moment is not finite.
    """
    if a.mean.shape != b.mean.shape:
        raise ValueError(
            f"Moments of {a.mean.shape[0]}-d and {b.mean.shape[0]}-d features cannot be compared; "
            "take both from the same network."
        )
    if not all(np.isfinite(part).all() for part in (*a[:2], *b[:2])):
        raise ValueError("Moments must be finite, but a mean or covariance holds NaN or infinity.")
    mean_a, cov_a = (np.asarray(part, np.float64) for part in a[:2])
    mean_b, cov_b = (np.asarray(part, np.float64) for part in b[:2])
    values, vectors = np.linalg.eigh(cov_a)
    root_a = (vectors * np.sqrt(_drop_rounding(values))[None]) @ vectors.T  # [D, D]
    inner = root_a @ cov_b @ root_a
    inner_values = _drop_rounding(np.linalg.eigvalsh(0.5 * (inner + inner.T)))
    trace = np.trace(cov_a) + np.trace(cov_b) - 2.0 * np.sqrt(inner_values).sum()
    # Equal moments can come out at -1e-15 of their trace, which is zero.
    return max(0.0, float(np.sum((mean_a - mean_b) ** 2) + trace))


def _drop_rounding(eigenvalues: np.ndarray) -> np.ndarray:
    """Zeroes eigenvalues below what `eigh` resolves: their square root would add up to a bias."""
    floor = eigenvalues.size * np.finfo(np.float64).eps * np.max(np.abs(eigenvalues), initial=0.0)
    return np.where(eigenvalues > floor, eigenvalues, 0.0)
