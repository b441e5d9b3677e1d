"""T_β, its inverse, its Jacobian and ancestral redraws, for nonlinear conditionals."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ebm_jax.densities.hierarchical import hierarchical_prior


@pytest.fixture
def prior(conditional):
    return hierarchical_prior(conditional, 3)


def assert_latents_close(got, expected, **limits):
    assert len(got) == len(expected)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, **limits)


def slogdet(function, latents):
    """log|det ∂function/∂latents| of every example, from the dense Jacobian."""

    def one(example):
        flat, unflatten = jax.flatten_util.ravel_pytree(example)

        def flattened(flat):
            batch_of_one = jax.tree.map(lambda a: a[None], unflatten(flat))
            return jax.flatten_util.ravel_pytree(function(batch_of_one)[0])[0]

        return jnp.linalg.slogdet(jax.jacfwd(flattened)(flat))

    sign, value = jax.jit(jax.vmap(one))(latents)
    np.testing.assert_array_equal(sign, 1.0)  # triangular with a positive diagonal
    return value


def test_z_to_u_undoes_u_to_z(prior, latents):
    u = latents(0)
    assert_latents_close(prior.to_u(prior.to_z(u)[0])[0], u, rtol=0, atol=1e-5)


def test_u_to_z_undoes_z_to_u(prior, latents):
    z = latents(1)
    assert_latents_close(prior.to_z(prior.to_u(z)[0])[0], z, rtol=0, atol=1e-5)


@pytest.mark.parametrize("direction", ["to_z", "to_u"])
def test_log_det_is_that_of_the_dense_jacobian(prior, latents, direction):
    function, x = getattr(prior, direction), latents(2)
    log_det = function(x)[1]
    assert np.std(log_det) > 0.5  # a map of one volume everywhere would prove little
    np.testing.assert_allclose(log_det, slogdet(function, x), rtol=0, atol=1e-5)


def test_to_z_is_mean_plus_std_times_u_from_the_top(prior, conditional, latents):
    u1, u2, u3 = latents(3)
    z3 = u3
    mean, std = conditional(1, (z3,))
    z2 = mean + std * u2
    mean, std = conditional(0, (z2, z3))
    assert_latents_close(prior.to_z((u1, u2, u3))[0], (mean + std * u1, z2, z3), rtol=1e-6)


def test_log_prob_is_the_sum_of_the_layers_normals(prior, conditional, latents):
    z = latents(4)
    expected = stats.norm.logpdf(z[2]).sum(1)
    for i in (0, 1):
        mean, std = conditional(i, z[i + 1 :])
        expected = expected + stats.norm(mean, std).logpdf(z[i]).sum(1)
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)


def test_log_prob_is_the_change_of_variables(prior, latents):
    """log p(T(u)) = log N(u; 0, I) − log|det ∂z/∂u|."""
    u = latents(5)
    z, log_det = prior.to_z(u)
    base = sum(stats.norm.logpdf(u_i).sum(1) for u_i in u)
    np.testing.assert_allclose(prior.log_prob(z), base - log_det, rtol=1e-5)


def test_one_layer_is_a_standard_normal_without_a_conditional(latents):
    def no_conditional(i, above):
        raise AssertionError("the top layer has no conditional")

    prior = hierarchical_prior(no_conditional, 1)
    u, other = latents(6)[:1], latents(7)[:1]
    for z, log_det in (prior.to_z(u), prior.to_u(u)):
        assert_latents_close(z, u)
        np.testing.assert_array_equal(log_det, np.zeros(5))
    np.testing.assert_allclose(prior.log_prob(u), stats.norm.logpdf(u[0]).sum(1), rtol=1e-5)
    assert_latents_close(prior.redraw(u, other, 0), other)
    assert_latents_close(prior.redraw(u, other, 1), u)


@pytest.mark.parametrize("k", [0, 1, 2, 3])
def test_redraw_keeps_the_layers_above_k_and_resamples_those_below(prior, conditional, latents, k):
    u, z = latents(8), latents(9)
    got = prior.redraw(u, z, k)
    for i in range(k, 3):
        np.testing.assert_array_equal(got[i], z[i])
    for i in range(k):
        if i == 2:
            mean, std = 0.0, 1.0
        else:
            mean, std = conditional(i, got[i + 1 :])
        np.testing.assert_allclose(got[i], mean + std * u[i], rtol=1e-5)


def test_to_z_of_normals_has_the_priors_moments(latents):
    """Linear conditionals: z_1 = a z_2 + b + s u_1 has mean b and variance a² + s²."""

    def linear(i, above):
        return 2.0 * above[0] + 1.0, jnp.full_like(above[0], 0.5)

    u = latents(10, batch=20_000, sizes=(1, 1))
    z1 = hierarchical_prior(linear, 2).to_z(u)[0][0]
    assert abs(z1.mean() - 1.0) < 5 * np.sqrt(4.25 / 20_000)
    assert abs(z1.var() - 4.25) < 5 * 4.25 * np.sqrt(2 / 20_000)
