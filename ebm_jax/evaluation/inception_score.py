"""Inception score (Salimans et al. 2016): exp E KL(p(y|x) ‖ p(y))."""

from typing import NamedTuple

import numpy as np
from scipy.special import log_softmax

from ebm_jax.errors import ConfigError

SPLITS = 10


class InceptionScore(NamedTuple):
    """Mean and standard deviation over splits."""

    mean: float
    std: float


def inception_score(logits: np.ndarray, splits: int = SPLITS) -> InceptionScore:
    """The score of each of `splits` consecutive parts of the samples.

    Args:
      logits: [N, 1008] of the 2015 network, without the softmax layer's bias.
      splits: parts, each with its own p(y).

    Returns:
      Mean and standard deviation, in [1, classes].

    Raises:
      ConfigError: fewer samples than splits, or logits of another form.
    """
    logits = np.asarray(logits, np.float64)
    if logits.ndim != 2 or not np.isfinite(logits).all():
        raise ConfigError(
            f"the inception score needs finite logits [N, classes], but got shape {logits.shape}."
        )
    if not 1 <= splits <= len(logits):
        raise ConfigError(
            f"the inception score of {len(logits)} samples cannot have {splits} splits; draw more "
            "samples."
        )
    scores = []
    for part in np.array_split(log_softmax(logits, axis=1), splits):
        probabilities = np.exp(part)  # p(y|x), [n, classes]
        marginal = probabilities.mean(axis=0)  # p(y)
        # A class that no sample has adds 0 · log 0 = 0.
        log_marginal = np.log(np.where(marginal > 0, marginal, 1.0))
        divergence = np.sum(probabilities * (part - log_marginal[None]), axis=1)
        scores.append(np.exp(divergence.mean()))
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)))
