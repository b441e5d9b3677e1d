"""Activations against their formulas, and their derivatives against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax.nn.activations import leaky_relu, silu

X = np.array([-80.0, -6.0, -1.278, -0.3, 0.0, 0.4, 2.0, 7.0, 80.0])


def test_leaky_relu_has_slope_one_fifth():
    np.testing.assert_allclose(leaky_relu(jnp.array([-5.0, 0.0, 2.0])), [-1.0, 0.0, 2.0])


def test_silu_is_x_times_its_sigmoid():
    np.testing.assert_allclose(silu(jnp.float32(X)), X / (1 + np.exp(-X)), rtol=1e-5, atol=1e-12)


def test_silu_derivative_is_that_of_finite_differences_in_both_modes():
    step = 1e-6

    def exact(x):
        return x / (1 + np.exp(-x))

    expected = (exact(X + step) - exact(X - step)) / (2 * step)
    x = jnp.float32(X)
    np.testing.assert_allclose(jax.vmap(jax.grad(silu))(x), expected, atol=2e-6)
    np.testing.assert_allclose(jax.jvp(silu, (x,), (2 + 0 * x,))[1], 2 * expected, atol=4e-6)
