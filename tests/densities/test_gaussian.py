"""Gaussian log densities against scipy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ebm_jax.densities.gaussian import normal_log_prob, standard_normal_log_prob, sum_event

RNG = np.random.default_rng(0)
X, MEAN = RNG.normal(size=(2, 3, 4, 5)).astype(np.float32)
STD = RNG.uniform(0.1, 3.0, size=(3, 4, 5)).astype(np.float32)


def test_normal_with_a_std_per_element_is_scipys():
    expected = stats.norm(MEAN, STD).logpdf(X).sum((1, 2))
    np.testing.assert_allclose(normal_log_prob(X, MEAN, STD), expected, rtol=1e-5)


def test_normal_with_one_std_is_scipys():
    expected = stats.norm(MEAN, 0.3).logpdf(X).sum((1, 2))
    np.testing.assert_allclose(normal_log_prob(X, MEAN, jnp.asarray(0.3)), expected, rtol=1e-5)


def test_standard_normal_is_scipys():
    expected = stats.norm.logpdf(X).sum((1, 2))
    np.testing.assert_allclose(standard_normal_log_prob(X), expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 2, 4, 1)])
def test_sum_event_keeps_the_batch_axis_only(shape):
    x = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.testing.assert_array_equal(sum_event(jnp.asarray(x)), x.reshape(3, -1).sum(1))
