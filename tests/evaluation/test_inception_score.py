"""The inception score's known values."""

import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.inception_score import inception_score


def test_undecided_network_gives_one():
    logits = np.tile(np.random.default_rng(0).normal(size=(1, 20)), (100, 1))
    assert inception_score(logits) == pytest.approx((1.0, 0.0), abs=1e-9)


@pytest.mark.parametrize("classes", [4, 10])
def test_certain_and_balanced_gives_the_number_of_classes(classes):
    logits = np.full((classes * 20, 30), -1e4)
    logits[np.arange(len(logits)), np.arange(len(logits)) % classes] = 0.0
    assert inception_score(logits).mean == pytest.approx(classes, rel=1e-6)


def test_by_definition():
    """exp of the mean KL divergence, with probabilities written out."""
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(6, 0.5), size=50)
    expected = np.exp(np.mean(np.sum(p * np.log(p / p.mean(0)), axis=1)))
    assert inception_score(np.log(p) + 3.0, splits=1) == pytest.approx((expected, 0.0), rel=1e-9)


def test_splits_are_consecutive_and_each_has_its_own_marginal():
    """Five samples of class 0, then five of class 1: certain, but each split knows one class."""
    logits = np.full((10, 2), -1e4)
    logits[:5, 0] = logits[5:, 1] = 0.0
    assert inception_score(logits, splits=2).mean == pytest.approx(1.0)
    assert inception_score(logits, splits=1).mean == pytest.approx(2.0)
    assert inception_score(np.roll(logits, 2, axis=0), splits=2).std == pytest.approx(0, abs=1e-9)


def test_bad_input():
    with pytest.raises(ConfigError, match="of 5 samples cannot have 10 splits"):
        inception_score(np.zeros((5, 3)))
    with pytest.raises(ConfigError, match="finite logits"):
        inception_score(np.full((20, 3), np.nan))
