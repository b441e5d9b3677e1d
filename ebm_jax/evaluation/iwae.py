"""The importance-weighted bound of an inference net, with any number of samples."""

from typing import Any

import jax
import numpy as np

from ebm_jax.methods.base import Evidence


def iwae_points(num: int) -> list[int]:
    """Sample counts at which the bound is noted: powers of ten, and `num` itself."""
    points = [10**k for k in range(9) if 10**k < num]
    return [*points, num] if num > 0 else []


def iwae(
    evidence: Evidence,
    state: Any,
    images: np.ndarray,
    key: jax.Array,
    index: np.ndarray,
    num: int,
    at_once: int = 100,
) -> dict[str, np.ndarray]:
    """The importance-weighted bound of log Z · p(x) (Burda et al. 2016, eq. 8).

    Args:
      evidence, state: as for `log_partition`.
      images: [B, H, W, C].
      key, index: image i draws from (key, index[i]) alone.
      num: S ≥ 1 samples of q.
      at_once: samples in one call; only sums are kept between calls.

    Returns:
      'bound' [B] with S samples, 'elbo' [B], the mean log weight, and 'curve' [P, B], the bound of
      the first samples at each of `iwae_points`.
    """
    total, log_sum, curve = 0.0, -np.inf, {}
    for start in range(0, num, at_once):
        drawn = evidence.log_weights(state, images, key, index, at_once, start)
        drawn = np.asarray(drawn, np.float64)[: num - start]  # [s, B]
        total = total + drawn.sum(0)
        sums = np.logaddexp.accumulate(np.concatenate([_row(log_sum, drawn), drawn]))[1:]
        log_sum = sums[-1]
        for point in iwae_points(num):
            if start < point <= start + len(drawn):
                curve[point] = sums[point - start - 1] - np.log(point)
    return {
        "bound": log_sum - np.log(num),
        "elbo": total / num,
        "curve": np.stack([curve[point] for point in iwae_points(num)]),
    }


def _row(log_sum, drawn):
    return np.broadcast_to(log_sum, drawn.shape[1:])[None]
