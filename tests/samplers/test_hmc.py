"""HMC is exact, moves as leapfrog says, and refuses what it cannot do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from ebm_jax.samplers import hmc, mala, run_chain

CHAINS = 20_000


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def unit_gaussian(x):
    return -0.5 * jnp.sum(x**2, axis=1)


def normals(n, dims=1):
    return jax.random.normal(jax.random.key(7), (n, dims))


def run(kernel, start, steps):
    chains = jax.tree.leaves(start)[0].shape[0]
    return jax.jit(lambda k, x: run_chain(kernel, k, x, steps))(keys(chains), start)


def assert_moment(values, expected):
    """Within five standard errors; every chain gives one independent value."""
    values = np.asarray(values, np.float64).ravel()
    assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(values.size)


@pytest.mark.parametrize("jitter", [0.0, 0.3])
def test_a_correlated_gaussian_is_stationary_in_float64(jitter):
    """Started at the target's own samples, mean and covariance stay what they are.

    At this step the leapfrog alone is off by 1 / (1 − ε²λ/4), a half, in the stiffest direction.
    """
    mean = np.array([1.0, -2.0])
    covariance = np.array([[2.0, 0.9], [0.9, 0.5]])
    precision = np.linalg.inv(covariance)
    step = 1.2 / np.sqrt(np.linalg.eigvalsh(precision)[-1])
    with jax.enable_x64(True):
        draws = np.random.RandomState(1).multivariate_normal(mean, covariance, CHAINS)

        def log_prob(x):
            d = x - jnp.asarray(mean)[None]
            return -0.5 * jnp.sum((d @ jnp.asarray(precision)) * d, axis=1)

        kernel = hmc(log_prob, step, num_leapfrog=3, jitter=jitter)
        chain = run(kernel, jnp.asarray(draws), 12)
        assert chain.position.dtype == jnp.float64
        x = np.asarray(chain.position) - mean
        assert 0.5 < float(chain.info.accepted.mean()) < 0.99
    assert np.mean(np.abs(x + mean - draws) > 1e-6) > 0.9  # it moved
    assert_moment(x[:, 0], 0.0)
    assert_moment(x[:, 1], 0.0)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        assert_moment(x[:, i] * x[:, j], covariance[i, j])


def test_moments_of_a_skew_bimodal_density_match_quadrature():
    """p ∝ exp(−x⁴/4 + x² + x/2), two modes of unequal mass."""

    def log_density(x):
        return -(x**4) / 4 + x**2 + 0.5 * x

    def moment(power):
        return quad(lambda x: x**power * np.exp(log_density(x)), -6, 6)[0]

    kernel = hmc(lambda x: log_density(x)[:, 0], 0.7, num_leapfrog=4, jitter=0.2)
    chain = run(kernel, normals(CHAINS), 60)
    for power in (1, 2, 3):
        assert_moment(chain.position**power, moment(power) / moment(0))


def test_one_leapfrog_step_is_mala_draw_by_draw():
    start = normals(200, 3)
    one = run(hmc(unit_gaussian, 0.9, num_leapfrog=1), start, 5)
    other = run(mala(unit_gaussian, 0.9), start, 5)
    np.testing.assert_allclose(one.position, other.position, atol=2e-6)
    np.testing.assert_array_equal(one.info.accepted, other.info.accepted)


def test_the_trajectory_is_that_of_the_oscillator():
    """On a unit Gaussian at a small step: x(t) = x cos t + p sin t, and p follows from x(t)."""
    start = normals(100, 2)
    length = 1.0
    kernel = hmc(unit_gaussian, length / 100, num_leapfrog=100)
    state, info = jax.jit(kernel.step)(keys(100), kernel.init(start))
    np.testing.assert_array_equal(info.accepted, 1.0)
    momentum = (state.position - np.cos(length) * start) / np.sin(length)
    assert_moment(momentum, 0.0)
    assert_moment(momentum**2, 1.0)
    again = hmc(unit_gaussian, 2 * length / 200, num_leapfrog=200)
    longer, _ = jax.jit(again.step)(keys(100), again.init(start))
    expected = np.cos(2 * length) * start + np.sin(2 * length) * momentum
    np.testing.assert_allclose(longer.position, expected, atol=1e-3)


def test_a_period_comes_round_without_jitter_and_not_with_it():
    """ε L = 2π on a unit Gaussian: every trajectory ends where it began."""
    start = normals(500, 2)
    for jitter, moves in ((0.0, False), (0.3, True)):
        kernel = hmc(unit_gaussian, 2 * np.pi / 100, num_leapfrog=100, jitter=jitter)
        _, info = jax.jit(kernel.step)(keys(500), kernel.init(start))
        assert (float(jnp.mean(info.displacement)) > 0.3) == moves


def test_several_leaves_with_their_own_steps_and_a_temperature():
    """Independent normals of variance 1 and 0.01 at T = 4: variances 4 and 0.04."""

    def log_prob(position):
        x, y = position
        return -0.5 * (x[:, 0] ** 2 + jnp.sum(y**2, axis=(1, 2)) / 0.01)

    start = (jnp.zeros((CHAINS, 1)), jnp.zeros((CHAINS, 1, 2)))
    kernel = hmc(log_prob, (1.2, 0.12), num_leapfrog=3, jitter=0.2, temperature=4.0)
    chain = run(kernel, start, 25)
    x, y = chain.position
    assert_moment(x**2, 4.0)
    assert_moment(y[:, 0, 0] ** 2, 0.04)
    assert_moment(y[:, 0, 1] * x[:, 0], 0.0)
    np.testing.assert_allclose(chain.info.energy, -log_prob(chain.position), rtol=1e-4)
    slopes = np.sqrt(x[:, 0] ** 2 + np.sum(y**2, axis=(1, 2)) / 1e-4)
    np.testing.assert_allclose(chain.info.grad_norm, slopes, rtol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_trajectory_into_non_finite_density_is_rejected(bad):
    def log_prob(x):
        return jnp.where(x[:, 0] == 1.0, 0.0, bad) - 0.5 * x[:, 0] ** 2

    start = jnp.ones((200, 1))
    chain = run(hmc(log_prob, 0.5, num_leapfrog=3), start, 3)
    np.testing.assert_array_equal(chain.position, start)
    np.testing.assert_array_equal(chain.info.accepted, 0.0)
    np.testing.assert_array_equal(chain.info.displacement, 0.0)


def test_chain_i_does_not_depend_on_the_batch():
    start = normals(8, 2)
    kernel = hmc(unit_gaussian, 0.5, num_leapfrog=4, jitter=0.2)
    all_ = jax.jit(lambda k, x: run_chain(kernel, k, x, 4))(keys(8), start)
    some = jax.jit(lambda k, x: run_chain(kernel, k, x, 4))(keys(8)[5:], start[5:])
    np.testing.assert_allclose(some.position, all_.position[5:], atol=1e-6)


@pytest.mark.parametrize("settings", [{"num_leapfrog": 0}, {"jitter": 1.0}, {"jitter": -0.1}])
def test_senseless_settings(settings):
    with pytest.raises(ValueError, match="use at least 1 step and a jitter in"):
        hmc(unit_gaussian, 0.5, **settings)
