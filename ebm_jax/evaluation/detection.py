"""AUROC and AUPRC of scores, with bootstrap intervals.

Convention, everywhere: a higher score is more anomalous or further out of distribution, and label 1
is the anomaly or the example from outside.
"""

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from ebm_jax.errors import ConfigError, DataError


def auroc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the ROC curve: P(score of an anomaly > score of a normal example), ties half.

    Args:
      scores: [N] finite, higher = more anomalous.
      labels: [N], 1 = anomaly, 0 = normal; both must occur.

    Returns:
      In [0, 1]; 0.5 is chance at any prevalence.

    Raises:
      DataError: see `checked`.
    """
    scores, labels = checked(scores, labels)
    return float(roc_auc_score(labels, scores))


def auprc(scores: np.ndarray, labels: np.ndarray) -> float:
    """Area under the precision–recall curve as average precision, Σ (R_n − R_{n−1}) P_n.

    Args:
      scores: [N] finite, higher = more anomalous.
      labels: [N], 1 = anomaly, 0 = normal; both must occur.

    Returns:
      In (0, 1]; chance is the prevalence of the anomalies.

    Raises:
      DataError: see `checked`.
    """
    scores, labels = checked(scores, labels)
    return float(average_precision_score(labels, scores))


def measure(
    scores: np.ndarray,
    labels: np.ndarray,
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, float]:
    """AUROC and AUPRC with percentile intervals by stratified bootstrap (Efron, 1979).

    Anomalies and normal examples are resampled apart, so the prevalence stays what it is.

    Args:
      scores: [N] finite, higher = more anomalous.
      labels: [N], 1 = anomaly, 0 = normal.
      num_resamples: bootstrap samples.
      level: coverage of the interval, in (0, 1).
      seed: of the resampling.

    Returns:
      auroc, auroc_low, auroc_high, auprc, auprc_low, auprc_high.

    Raises:
      ConfigError: no resamples, or a level outside (0, 1).
      DataError: see `checked`.
    """
    if num_resamples < 1 or not 0 < level < 1:
        raise ConfigError(
            f"The bootstrap has {num_resamples} resamples and level {level}; use at least one "
            "resample and a level between 0 and 1."
        )
    scores, labels = checked(scores, labels)
    values, place = np.unique(-scores, return_inverse=True)  # most anomalous first, ties together
    anomalous, normal = place[labels == 1], place[labels == 0]
    rng = np.random.default_rng(seed)

    def resampled(group):
        drawn = group[rng.integers(group.size, size=group.size)]
        return np.bincount(drawn, minlength=values.size)

    areas = np.array(
        [_areas(resampled(anomalous), resampled(normal)) for _ in range(num_resamples)]
    )
    tail = (1 - level) / 2
    low, high = np.quantile(areas, (tail, 1 - tail), axis=0)  # [2] each
    return {
        "auroc": auroc(scores, labels),
        "auroc_low": float(low[0]),
        "auroc_high": float(high[0]),
        "auprc": auprc(scores, labels),
        "auprc_low": float(low[1]),
        "auprc_high": float(high[1]),
    }


def checked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores as float64 [N] and labels as int64 [N].

    Raises:
      DataError: shapes differ, a score is not finite, a label is neither 0 nor 1, or only one of
        the two occurs.
    """
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels)
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise DataError(
            f"There are scores of shape {scores.shape} and labels of shape {labels.shape}; "
            "detection needs one score and one label per example, [N] each."
        )
    if not np.isfinite(scores).all():
        raise DataError(
            f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite; the "
            "model or its posterior chains have diverged: use an earlier checkpoint or a smaller "
            "sampler.posterior.step_size."
        )
    if not np.isin(labels, (0, 1)).all():
        raise DataError(
            f"The labels hold {np.setdiff1d(labels, (0, 1))[0]}; use 1 for anomalies and 0 for "
            "normal examples."
        )
    labels = labels.astype(np.int64)
    if labels.size == 0 or labels.min() == labels.max():
        kind = "anomalies" if labels.size and labels[0] else "normal examples"
        raise DataError(
            f"All {labels.size} examples are {kind}; detection needs both kinds: score more "
            "examples, or another split."
        )
    return scores, labels


def _areas(anomalous: np.ndarray, normal: np.ndarray) -> tuple[float, float]:
    """(AUROC, average precision) from counts at each distinct score, most anomalous first."""
    found, alarms = np.cumsum(anomalous), np.cumsum(normal)
    below = alarms[-1] - alarms + 0.5 * normal  # normal examples with a lower score, ties half
    precision = found / np.maximum(found + alarms, 1)
    return (
        float(anomalous @ below / (found[-1] * alarms[-1])),
        float(anomalous @ precision / found[-1]),
    )
