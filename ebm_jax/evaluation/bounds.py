"""Stochastic bounds out of log importance weights, in float64 on the host.

For weights with E[w] = Z the log of their mean is below log Z in expectation (Jensen), the more
closely the more weights it averages; it exceeds log Z + a with probability at most exp(−a)
(Markov).
"""

import math

import numpy as np


def log_mean_exp(log_weights: np.ndarray, axis: int | None = None) -> np.ndarray:
    """log of the mean of exp(log_weights), without overflow; −∞ counts as a weight of zero."""
    log_weights = np.asarray(log_weights, np.float64)
    top = np.max(log_weights, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        mean = np.log(np.mean(np.exp(log_weights - top), axis=axis, keepdims=True)) + top
    return np.squeeze(mean, axis=axis)[()]


def effective_size(log_weights: np.ndarray) -> float:
    """(Σw)² / Σw²: how many equal weights these are worth, between 1 and their number."""
    w = np.exp(np.asarray(log_weights, np.float64) - np.max(log_weights))
    return float(w.sum() ** 2 / (w**2).sum())


def bootstrap(
    log_weights: np.ndarray, seed: int, draws: int = 1000, groups: np.ndarray | None = None
) -> np.ndarray:
    """`log_mean_exp` of weights drawn again with replacement: [draws].

    Args:
      log_weights: [n].
      seed: of the drawing.
      draws: how many times.
      groups: [n] whole numbers; weights of one group are not independent (chains of one ancestor)
        and are drawn together.
    """
    log_weights = np.asarray(log_weights, np.float64)
    generator = np.random.default_rng(seed)
    if groups is None:
        groups = np.arange(len(log_weights))
    _, member = np.unique(groups, return_inverse=True)
    sizes = np.bincount(member)
    top = np.max(log_weights)
    top = top if np.isfinite(top) else 0.0
    sums = np.bincount(member, np.exp(log_weights - top))
    drawn = generator.integers(len(sizes), size=(draws, len(sizes)))
    with np.errstate(divide="ignore"):
        return np.log(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)) + top


def resampled(log_weights: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Indices [count], each i about count · w_i / Σw times (systematic resampling), shuffled."""
    w = np.exp(np.asarray(log_weights, np.float64) - np.max(log_weights))
    generator = np.random.default_rng(seed)
    places = (np.arange(count) + generator.uniform()) / count
    chosen = np.searchsorted(np.cumsum(w) / w.sum(), places, side="right")
    return generator.permutation(np.minimum(chosen, len(w) - 1))


def bits_per_dim(log_prob: np.ndarray, dimensions: int, log_bin: float) -> np.ndarray:
    """Bits per pixel and channel of images with 8-bit grey values.

    Args:
      log_prob: log p(x) in nats.
      dimensions: D = H · W · C.
      log_bin: log width of a grey value on the scale of p(x); 0 if p(x) is a probability.

    Returns:
      −(log p(x) + D · log_bin) / (D log 2), shaped as `log_prob`.
    """
    return -(np.asarray(log_prob, np.float64) / dimensions + log_bin) / math.log(2)
