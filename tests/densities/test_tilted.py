"""The tilted prior in z- and u-space is one density, pulled back by T_β."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.densities.gaussian import standard_normal_log_prob
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.densities.tilted import tilted_in_u, tilted_in_z


def tilt(z):
    """A nonlinear F that couples the layers."""
    return jnp.sin(z[0].sum(1)) * jnp.cos(z[2].sum(1)) - 0.3 * (z[1] ** 4).sum(1)


@pytest.fixture
def prior(conditional):
    return hierarchical_prior(conditional, 3)


def test_in_z_is_the_tilt_times_the_prior(prior, latents):
    z = latents(0)
    np.testing.assert_allclose(tilted_in_z(prior, tilt)(z), tilt(z) + prior.log_prob(z), rtol=1e-6)


def test_in_u_is_the_pull_back_of_in_z(prior, latents):
    """Change of variables: log p(u) = log p(T(u)) + log|det ∂z/∂u|, with no constant left over."""
    u = latents(1)
    z, log_det = prior.to_z(u)
    np.testing.assert_allclose(
        tilted_in_u(prior, tilt)(u), tilted_in_z(prior, tilt)(z) + log_det, rtol=0, atol=2e-5
    )


def test_in_u_has_no_log_sigma(prior, latents):
    """Poster 4's cancellation: F(T(u)) + log N(u); the released code's −Σ log σ is not in it."""
    u = latents(2)
    z, log_det = prior.to_z(u)
    exact = tilted_in_u(prior, tilt)(u)
    without = tilt(z) + sum(standard_normal_log_prob(u_i) for u_i in u)
    np.testing.assert_allclose(exact, without, rtol=0, atol=1e-5)
    legacy = tilted_in_u(prior, tilt, legacy_log_sigma=True)(u)
    np.testing.assert_allclose(legacy, without - log_det, rtol=0, atol=1e-5)
    assert np.std(exact - legacy) > 0.1  # more than a constant: another density


def test_gradient_in_u_is_the_chain_rule_of_in_z(prior, latents):
    """∂/∂u [tilted_in_z(T(u)) + log|det|]: gradients reach every layer through T_β."""
    u = latents(3)

    def pulled_back(u):
        z, log_det = prior.to_z(u)
        return jnp.sum(tilted_in_z(prior, tilt)(z) + log_det)

    got = jax.jit(jax.grad(lambda u: jnp.sum(tilted_in_u(prior, tilt)(u))))(u)
    for a, b in zip(got, jax.jit(jax.grad(pulled_back))(u), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-4)


def test_no_tilt_is_the_prior_and_the_standard_normal(prior, latents):
    u = latents(4)

    def nothing(z):
        return jnp.zeros(z[0].shape[0])

    np.testing.assert_allclose(tilted_in_z(prior, nothing)(u), prior.log_prob(u), rtol=1e-6)
    np.testing.assert_allclose(
        tilted_in_u(prior, nothing)(u), sum(standard_normal_log_prob(x) for x in u), rtol=1e-6
    )
