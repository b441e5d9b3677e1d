"""Gaussian log densities against scipy."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ebm_jax.densities.gaussian import (
    normal_kl,
    normal_log_prob,
    standard_normal_log_prob,
    sum_event,
)

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


def test_kl_is_the_integral_of_its_definition():
    """∫ q log(q / p) by quadrature, summed over the event's axes."""
    mean, std = np.array([[0.3, -1.0]]), np.array([[0.5, 1.7]])
    mean_p, std_p = np.array([[-0.2, 0.4]]), np.array([[1.1, 0.8]])
    x = np.linspace(-30, 30, 200_001)[:, None]
    log_q, log_p = stats.norm(mean, std).logpdf(x), stats.norm(mean_p, std_p).logpdf(x)
    expected = np.trapezoid(np.exp(log_q) * (log_q - log_p), x[:, 0], axis=0).sum()
    np.testing.assert_allclose(normal_kl(mean, std, mean_p, std_p), [expected], rtol=1e-5)
