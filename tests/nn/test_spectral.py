"""Spectral normalisation against numpy's singular values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.nn.spectral import init_vectors, spectral_normalise, spectral_norms


@pytest.fixture
def params():
    rng = np.random.default_rng(0)
    return {
        "dense": {"kernel": rng.normal(size=(6, 4)), "bias": rng.normal(size=4)},
        "conv": {"kernel": rng.normal(size=(3, 3, 2, 5)), "bias": rng.normal(size=5)},
        "scale": np.float64(2.0),
    }


def as_float32(params):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), params)


def largest_singular_value(kernel):
    """Of the matrix [fan_in, out]."""
    return np.linalg.svd(np.asarray(kernel).reshape(-1, kernel.shape[-1]), compute_uv=False)[0]


normalise = jax.jit(spectral_normalise, static_argnums=2)


def converged(params, vectors):
    for _ in range(60):
        normalised, vectors = normalise(params, vectors)
    return normalised


def test_it_converges_to_the_exact_singular_value(params):
    params = as_float32(params)
    normalised = converged(params, init_vectors(params, jax.random.key(0)))
    for name in ("dense", "conv"):
        kernel = params[name]["kernel"]
        expected = kernel / largest_singular_value(kernel)
        np.testing.assert_allclose(normalised[name]["kernel"], expected, rtol=1e-4)


def test_two_calls_with_carried_vectors_are_one_of_two_iterations(params):
    params = as_float32(params)
    one = two = init_vectors(params, jax.random.key(0))
    for _ in range(2):
        normalised, one = normalise(params, one)
    expected, two = normalise(params, two, 2)
    assert abs(largest_singular_value(normalised["conv"]["kernel"]) - 1) > 1e-3  # not yet there
    for a, b in zip(
        jax.tree.leaves((normalised, one)), jax.tree.leaves((expected, two)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_biases_and_scalars_are_untouched(params):
    params = as_float32(params)
    normalised, vectors = normalise(params, init_vectors(params, jax.random.key(0)))
    for name in ("dense", "conv"):
        np.testing.assert_array_equal(normalised[name]["bias"], params[name]["bias"])
        assert vectors[name]["bias"] is None
        assert vectors[name]["kernel"].shape == params[name]["kernel"].shape[-1:]
    assert normalised["scale"] == 2.0


def test_the_first_vectors_are_unit_and_differ_between_kernels():
    params = {f"layer_{i}": {"kernel": jnp.ones((3, 4))} for i in range(12)}
    vectors = jax.tree.leaves(init_vectors(params, jax.random.key(0)))
    np.testing.assert_allclose([np.linalg.norm(v) for v in vectors], 1.0, rtol=1e-6)
    assert len({v.tobytes() for v in map(np.asarray, vectors)}) == 12


def test_a_zero_kernel_stays_zero_with_finite_gradients():
    params = {"kernel": jnp.zeros((3, 4))}
    vectors = init_vectors(params, jax.random.key(0))
    normalised, _ = normalise(params, vectors)
    np.testing.assert_array_equal(normalised["kernel"], 0.0)
    grad = jax.jit(jax.grad(lambda p: jnp.sum(spectral_normalise(p, vectors)[0]["kernel"])))(params)
    assert np.isfinite(grad["kernel"]).all() and np.abs(grad["kernel"]).max() > 0


def test_a_kernel_that_was_zero_is_normalised_once_it_is_not():
    """A zero-initialised last layer must not keep a zero power-iteration vector for good."""
    zero = {"kernel": jnp.zeros((6, 4))}
    _, vectors = normalise(zero, init_vectors(zero, jax.random.key(0)))
    grown = {"kernel": jnp.asarray(np.random.default_rng(1).normal(size=(6, 4)), jnp.float32)}
    normalised = converged(grown, vectors)
    np.testing.assert_allclose(largest_singular_value(normalised["kernel"]), 1.0, rtol=1e-4)


def test_gradients_flow_through_the_division_but_not_the_vectors():
    """W / (uᵀWv) with u, v of the power iteration held fixed, by central differences in float64."""
    rng = np.random.default_rng(2)
    kernel, probe = rng.normal(size=(2, 6, 4))
    v = rng.normal(size=4)
    v /= np.linalg.norm(v)
    u = kernel @ v / np.linalg.norm(kernel @ v)
    new_v = kernel.T @ u / np.linalg.norm(kernel.T @ u)
    new_u = kernel @ new_v / np.linalg.norm(kernel @ new_v)

    def fixed(k):
        return np.sum(probe * k / (new_u @ k @ new_v))

    differences = np.zeros_like(kernel)
    for index in np.ndindex(kernel.shape):
        shift = np.zeros_like(kernel)
        shift[index] = 1e-6
        differences[index] = (fixed(kernel + shift) - fixed(kernel - shift)) / 2e-6

    with jax.enable_x64(True):

        def loss(k):
            return jnp.sum(probe * spectral_normalise({"k": k}, {"k": jnp.asarray(v)})[0]["k"])

        np.testing.assert_allclose(loss(jnp.asarray(kernel)), fixed(kernel), rtol=1e-10)
        grad = jax.jit(jax.grad(loss))(jnp.asarray(kernel))
    np.testing.assert_allclose(grad, differences, rtol=1e-6, atol=1e-8)


def test_no_gradient_reaches_the_vectors(params):
    params = as_float32(params["dense"])
    vectors = init_vectors(params, jax.random.key(0))

    def loss(params):
        return jnp.sum(spectral_normalise(params, vectors)[1]["kernel"])

    np.testing.assert_array_equal(jax.grad(loss)(params)["kernel"], 0.0)


def test_norms_are_the_singular_values_and_none_beside_kernels(params):
    params = as_float32(params)
    vectors = init_vectors(params, jax.random.key(0))
    norms, _ = jax.jit(spectral_norms, static_argnums=2)(params, vectors, 60)
    assert norms["dense"]["bias"] is None and norms["scale"] is None
    for name in ("dense", "conv"):
        expected = largest_singular_value(params[name]["kernel"])
        assert float(norms[name]["kernel"]) == pytest.approx(expected, rel=1e-4)
