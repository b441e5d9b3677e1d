"""MALA is exact: moments at steps where unadjusted Langevin is visibly off."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from ebm_jax.samplers import langevin, mala, run_chain

CHAINS = 20_000


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def unit_gaussian(x):
    return -0.5 * jnp.sum(x**2, axis=1)


def run(kernel, start, steps, **kwargs):
    chains = start.shape[0]
    return jax.jit(lambda k, x: run_chain(kernel, k, x, steps, **kwargs))(keys(chains), start)


def assert_moment(values, expected):
    """Within five standard errors; every chain gives one independent value."""
    values = np.asarray(values, np.float64).ravel()
    assert abs(values.mean() - expected) < 5 * values.std() / np.sqrt(values.size)


def normals(n, dims=1):
    return jax.random.normal(jax.random.key(7), (n, dims))


@pytest.mark.parametrize(("s", "convention"), [(1.4, "std"), (1.4**2, "variance")])
def test_variance_of_a_unit_gaussian_is_one_at_a_large_step(s, convention):
    """Unadjusted Langevin has 1 / (1 − 1.4²/4) = 1.96 here."""
    chain = run(mala(unit_gaussian, s, convention=convention), jnp.zeros((CHAINS, 1)), 60)
    assert_moment(chain.position**2, 1.0)
    assert np.all((chain.info.accepted > 0) & (chain.info.accepted < 1))
    ula = run(langevin(unit_gaussian, s, convention=convention), jnp.zeros((CHAINS, 1)), 60)
    assert np.var(ula.position) > 1.8


def test_moments_of_a_skew_bimodal_density_match_quadrature():
    """p ∝ exp(−x⁴/4 + x² + x/2), two modes of unequal mass, at a step where ULA diverges."""

    def log_density(x):
        return -(x**4) / 4 + x**2 + 0.5 * x

    def moment(power):
        return quad(lambda x: x**power * np.exp(log_density(x)), -6, 6)[0]

    chain = run(mala(lambda x: log_density(x)[:, 0], 0.9), normals(CHAINS), 150)
    for power in (1, 2, 3):
        assert_moment(chain.position**power, moment(power) / moment(0))


def test_a_temperature_divides_the_log_density():
    """Unit Gaussian at T = 4: variance 4; energy and gradient are of the density itself."""
    chain = run(mala(unit_gaussian, 2.0, temperature=4.0), jnp.zeros((CHAINS, 1)), 60)
    assert_moment(chain.position**2, 4.0)
    np.testing.assert_allclose(chain.info.energy, -unit_gaussian(chain.position), rtol=1e-5)
    np.testing.assert_allclose(chain.info.grad_norm, np.abs(chain.position[:, 0]), rtol=1e-5)


def test_several_leaves_with_their_own_steps():
    """Independent normals of variance 1 and 0.01, each with a step of its own scale."""

    def log_prob(position):
        x, y = position
        return -0.5 * (x[:, 0] ** 2 + jnp.sum(y**2, axis=(1, 2)) / 0.01)

    start = (jnp.zeros((CHAINS, 1)), jnp.zeros((CHAINS, 1, 2)))
    kernel = mala(log_prob, (1.0, 0.1))
    x, y = jax.jit(lambda k: run_chain(kernel, k, start, 60).position)(keys(CHAINS))
    assert_moment(x**2, 1.0)
    assert_moment(y[:, 0, 0] ** 2, 0.01)
    assert_moment(y[:, 0, 1] * x[:, 0], 0.0)


def test_info_is_of_the_position_after_the_accept_step():
    kernel, start = mala(unit_gaussian, 1.5), normals(100, 2)
    state, info = jax.jit(kernel.step)(keys(100), kernel.init(start))
    np.testing.assert_allclose(info.energy, -unit_gaussian(state.position), rtol=1e-5)
    np.testing.assert_allclose(info.grad_norm, jnp.linalg.norm(state.position, axis=1), rtol=1e-5)
    moved = jnp.linalg.norm(state.position - start, axis=1)
    np.testing.assert_allclose(info.displacement, moved, atol=1e-6)
    np.testing.assert_array_equal(info.accepted, moved > 0)
    assert 0 < info.accepted.mean() < 1


def test_an_accepted_move_is_langevins():
    """At a small step every proposal is accepted and the two kernels agree draw by draw."""
    start = normals(50, 3)
    exact = run(mala(unit_gaussian, 0.01), start, 3)
    np.testing.assert_array_equal(exact.info.accepted > 0.99, True)
    unadjusted = run(langevin(unit_gaussian, 0.01), start, 3)
    np.testing.assert_allclose(exact.position, unadjusted.position, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_proposal_of_non_finite_density_is_rejected(bad):
    """Every proposal has a non-finite log density, though its gradient is fine: nobody moves."""

    def log_prob(x):
        return jnp.where(x[:, 0] == 1.0, 0.0, bad) - 0.5 * x[:, 0] ** 2

    start = jnp.ones((200, 1))
    chain = run(mala(log_prob, 0.5), start, 3)
    np.testing.assert_array_equal(chain.position, start)
    np.testing.assert_array_equal(chain.info.accepted, 0.0)
    np.testing.assert_array_equal(chain.info.displacement, 0.0)
    np.testing.assert_array_equal(chain.info.finite, True)


def test_a_hard_wall_gives_the_truncated_density():
    """exp(−x) for x > 0, −∞ elsewhere: mean 1, second moment 2."""

    def log_prob(x):
        return jnp.where(x[:, 0] > 0, -x[:, 0], -jnp.inf)

    chain = run(mala(log_prob, 1.0), jnp.ones((CHAINS, 1)), 150)
    assert chain.position.min() > 0
    assert_moment(chain.position, 1.0)
    assert_moment(chain.position**2, 2.0)
