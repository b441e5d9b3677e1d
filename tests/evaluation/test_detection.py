"""AUROC and AUPRC: direction, known values, intervals that cover, refusals."""

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import average_precision_score, roc_auc_score

from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.detection import auprc, auroc, measure


def gaussians(distance, normal, anomalous, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal(normal + anomalous)
    labels = np.arange(normal + anomalous) >= normal
    return scores + distance * labels, labels.astype(int)


def test_a_higher_score_is_more_anomalous():
    labels = np.array([0, 0, 0, 1])
    assert auroc([1.0, 2.0, 3.0, 4.0], labels) == auprc([1.0, 2.0, 3.0, 4.0], labels) == 1.0
    assert auroc([4.0, 3.0, 2.0, 1.0], labels) == 0.0
    assert auprc([4.0, 3.0, 2.0, 1.0], labels) == 0.25  # found last: 1 of 4 alarms is right
    assert auroc([1.0, 1.0, 1.0, 1.0], labels) == 0.5
    assert auprc([1.0, 1.0, 1.0, 1.0], labels) == 0.25


def test_auroc_of_two_gaussians():
    """P(score of an anomaly > score of a normal example) = Φ(d / √2)."""
    scores, labels = gaussians(1.2, 20_000, 20_000)
    assert auroc(scores, labels) == pytest.approx(norm.cdf(1.2 / np.sqrt(2)), abs=0.006)


def test_interval_covers_the_truth_as_often_as_it_says():
    """90 % intervals of 200 data sets: binomial standard error 2 %."""
    truth, covered = norm.cdf(1.0 / np.sqrt(2)), 0
    for seed in range(200):
        found = measure(*gaussians(1.0, 150, 50, seed), num_resamples=200, level=0.9, seed=seed)
        covered += found["auroc_low"] <= truth <= found["auroc_high"]
    assert 0.83 <= covered / 200 <= 0.96


def test_interval_is_sklearns_on_stratified_resamples_with_ties():
    scores, labels = gaussians(0.7, 60, 20)
    scores = np.round(scores, 1)
    found = measure(scores, labels, num_resamples=300, seed=3)
    rng = np.random.default_rng(3)
    drawn = []
    for _ in range(300):
        index = np.concatenate(
            [group[rng.integers(group.size, size=group.size)]
             for group in (np.flatnonzero(labels == 1), np.flatnonzero(labels == 0))]
        )  # fmt: skip
        arguments = labels[index], scores[index]
        drawn.append((roc_auc_score(*arguments), average_precision_score(*arguments)))
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    np.testing.assert_allclose([found["auroc_low"], found["auprc_low"]], low, rtol=1e-12)
    np.testing.assert_allclose([found["auroc_high"], found["auprc_high"]], high, rtol=1e-12)
    assert found["auroc"] == roc_auc_score(labels, scores)
    assert found["auprc"] == average_precision_score(labels, scores)


def test_seed_decides_the_interval():
    data = gaussians(1.0, 100, 30)
    first = measure(*data, num_resamples=50)
    assert first == measure(*data, num_resamples=50)
    assert first["auroc_low"] != measure(*data, num_resamples=50, seed=1)["auroc_low"]


@pytest.mark.parametrize(
    "scores, labels, message",
    [
        ([1.0, np.nan, 2.0], [0, 1, 0], "1 of 3 scores are not finite"),
        ([1.0, np.inf, np.inf], [0, 1, 0], "2 of 3 scores are not finite"),
        ([1.0, 2.0], [0, 0], "All 2 examples are normal examples"),
        ([1.0, 2.0], [1, 1], "All 2 examples are anomalies"),
        ([], [], "All 0 examples"),
        ([1.0, 2.0, 3.0], [0, 1], r"shape \(3,\) and labels of shape \(2,\)"),
        ([[1.0, 2.0]], [[0, 1]], r"shape \(1, 2\)"),
        ([1.0, 2.0, 3.0], [0, 1, -1], "The labels hold -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(scores, labels, message):
    for function in (auroc, auprc, measure):
        with pytest.raises(DataError, match=message):
            function(np.array(scores), np.array(labels))


@pytest.mark.parametrize("options", [{"num_resamples": 0}, {"level": 1.0}, {"level": 0.0}])
def test_senseless_bootstrap(options):
    with pytest.raises(ConfigError, match="The bootstrap has"):
        measure(np.array([1.0, 2.0]), np.array([0, 1]), **options)
