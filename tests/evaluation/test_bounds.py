"""Statistics of log weights against what they are by definition."""

import numpy as np
import pytest

from ebm_jax.evaluation.bounds import (
    bits_per_dim,
    bootstrap,
    effective_size,
    log_mean_exp,
    resampled,
)


def test_log_mean_exp_by_axis_and_beyond_the_range_of_exp():
    w = np.log(np.array([[1.0, 2.0, 3.0], [4.0, 0.0, 5.0]]) + 1e-300)
    np.testing.assert_allclose(log_mean_exp(w, axis=1), np.log([2.0, 3.0]))
    assert log_mean_exp(w) == pytest.approx(np.log(2.5))
    assert log_mean_exp(np.array([5000.0, 5000.0 + np.log(3)])) == pytest.approx(5000 + np.log(2))
    assert log_mean_exp(np.array([-np.inf, 0.0])) == pytest.approx(-np.log(2))
    assert log_mean_exp(np.array([-np.inf, -np.inf])) == -np.inf


def test_effective_size_counts_equal_weights():
    assert effective_size(np.full(7, -900.0)) == pytest.approx(7.0)
    assert effective_size(np.array([0.0, -80.0, -90.0])) == pytest.approx(1.0)
    assert effective_size(np.log([1.0, 1.0, 2.0])) == pytest.approx(16 / 6)


def test_bootstrap_spread_is_that_of_the_log_mean():
    """Log-normal weights: std of log mean ≈ sqrt((e^{s²} − 1) / n)."""
    log_weights = 0.5 * np.random.RandomState(0).standard_normal(2000)
    spread = np.std(bootstrap(log_weights, seed=1))
    assert spread == pytest.approx(np.sqrt((np.exp(0.25) - 1) / 2000), rel=0.15)
    np.testing.assert_array_equal(bootstrap(log_weights, 3, 5), bootstrap(log_weights, 3, 5))


def test_bootstrap_draws_dependent_weights_together():
    """400 weights of 4 ancestors are worth 4: the spread is that of 4 drawn from 4."""
    ancestors = np.arange(4).repeat(100)
    log_weights = np.log(np.array([1.0, 2.0, 4.0, 8.0]))[ancestors]
    together = bootstrap(log_weights, 0, 4000, groups=ancestors)
    four = bootstrap(np.log([1.0, 2.0, 4.0, 8.0]), 1, 4000)
    assert np.std(together) == pytest.approx(np.std(four), rel=0.05)
    assert np.std(together) > 5 * np.std(bootstrap(log_weights, 0, 1000))


def test_resampling_draws_by_weight():
    chosen = resampled(np.log([1.0, 2.0, 5.0]) - 700, 8000, seed=0)
    assert chosen.shape == (8000,)
    np.testing.assert_allclose(np.bincount(chosen), [1000, 2000, 5000], atol=1)
    assert np.any(np.diff(chosen) < 0)  # shuffled: the first few are no single ancestor's
    np.testing.assert_array_equal(np.sort(resampled(np.zeros(50), 50, seed=4)), np.arange(50))


def test_bits_per_dim():
    """A uniform density over [-1, 1]^D is 8 bits a pixel, up to 256 bins in 255 steps."""
    uniform = -10 * np.log(2.0)
    assert bits_per_dim(uniform, 10, np.log(2 / 256)) == pytest.approx(8.0)
    assert bits_per_dim(uniform, 10, np.log(2 / 255)) == pytest.approx(np.log2(255))
    assert bits_per_dim(-10 * np.log(2.0), 10, 0.0) == pytest.approx(1.0)  # probabilities
