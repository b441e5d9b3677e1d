"""The Langevin kernel against stationary moments and hand-computed steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.samplers import annealed_langevin, langevin, run_chain

CHAINS = 20_000


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def unit_gaussian(x):
    """[B, D] → [B], gradient −x."""
    return -0.5 * jnp.sum(x**2, axis=1)


def final(kernel, start, steps, seed=0):
    chains = jax.tree.leaves(start)[0].shape[0]
    return jax.jit(lambda k, x: run_chain(kernel, k, x, steps).position)(keys(chains, seed), start)


def assert_variance(samples, expected):
    """Within five standard errors of a Gaussian's sample variance."""
    error = expected * np.sqrt(2 / samples.size)
    assert abs(np.var(np.asarray(samples, np.float64)) - expected) < 5 * error


def one_step(kernel, start, seed=0):
    chains = jax.tree.leaves(start)[0].shape[0]
    state, info = jax.jit(kernel.step)(keys(chains, seed), kernel.init(start))
    return state.position, info


# Stationary moments


@pytest.mark.parametrize("s", [0.4, 1.0])
def test_variance_of_a_unit_gaussian(s):
    """x' = (1 − s²/2) x + s ξ has variance s² / (1 − (1 − s²/2)²) = 1 / (1 − s²/4)."""
    x = final(langevin(unit_gaussian, s), jnp.zeros((CHAINS, 4)), 80)
    assert_variance(x, 1 / (1 - s**2 / 4))


@pytest.mark.parametrize("temperature", [0.5, 3.0])
def test_variance_at_a_temperature(temperature):
    """x' = (1 − s²/2T) x + s ξ has variance T / (1 − s²/4T)."""
    s = 0.8
    x = final(langevin(unit_gaussian, s, temperature=temperature), jnp.zeros((CHAINS, 4)), 60)
    assert_variance(x, temperature / (1 - s**2 / (4 * temperature)))


def test_variance_convention_with_s_squared_is_the_std_convention():
    start = jax.random.normal(jax.random.key(1), (50, 3))
    std = final(langevin(unit_gaussian, 0.4), start, 20)
    variance = final(langevin(unit_gaussian, 0.4**2, convention="variance"), start, 20)
    np.testing.assert_allclose(std, variance, atol=1e-5)


def test_correlated_gaussian_over_leaves_of_different_shapes():
    """x [2] and y [1, 1] jointly N(m, C); at s = 0.1 the bias of mean and covariance is < 1 %."""
    mean = np.array([1.0, -2.0, 0.5], np.float32)
    cov = np.array([[1.0, 0.5, -0.3], [0.5, 0.8, 0.1], [-0.3, 0.1, 0.6]], np.float32)
    precision = jnp.asarray(np.linalg.inv(cov))

    def log_prob(position):
        x, y = position
        centred = jnp.concatenate([x, y[:, :, 0]], axis=1) - mean[None]
        return -0.5 * jnp.sum((centred @ precision) * centred, axis=1)

    n = 5000
    x, y = final(langevin(log_prob, 0.1), (jnp.zeros((n, 2)), jnp.zeros((n, 1, 1))), 1500)
    samples = np.concatenate([x, y[:, :, 0]], axis=1)
    np.testing.assert_allclose(samples.mean(0), mean, atol=5 * np.sqrt(1 / n))
    np.testing.assert_allclose(np.cov(samples.T), cov, atol=0.01 + 5 * np.sqrt(2 / n))


def test_noise_is_independent_between_leaves_and_chains():
    """On a flat density a step is s ξ, and all ξ are uncorrelated."""
    start = (jnp.zeros((CHAINS, 1)), jnp.zeros((CHAINS, 1)))
    x, y = one_step(langevin(lambda p: jnp.zeros(p[0].shape[0]), 2.0), start)[0]
    x, y = np.ravel(x) / 2, np.ravel(y) / 2
    for product in (x * y, x[1:] * x[:-1], x**2 - 1):
        assert abs(product.mean()) < 5 * product.std() / np.sqrt(CHAINS)


# Hand-computed steps


def test_without_noise_it_is_gradient_ascent():
    """Gradient of −x²/2 at 2 is −2: x' = 2 − (0.4² / 2) · 2 = 1.84; at T = 4, 1.96."""
    start = jnp.array([[2.0], [-3.0]])
    kernel = langevin(unit_gaussian, 0.4, noise_scale=0.0)
    np.testing.assert_allclose(one_step(kernel, start)[0], [[1.84], [-2.76]], rtol=1e-6)
    kernel = langevin(unit_gaussian, 0.4, noise_scale=0.0, temperature=4.0)
    np.testing.assert_allclose(one_step(kernel, start)[0], [[1.96], [-2.94]], rtol=1e-6)


def test_variance_convention_by_hand():
    """x' = 2 − (η / 2) · 2 with η = 0.4."""
    kernel = langevin(unit_gaussian, 0.4, convention="variance", noise_scale=0.0)
    np.testing.assert_allclose(one_step(kernel, jnp.array([[2.0]]))[0], [[1.6]], rtol=1e-6)


def test_noise_scale_multiplies_the_noise_only():
    start = jnp.ones((4, 3))
    drift, half, full = (
        one_step(langevin(unit_gaussian, 0.4, noise_scale=n), start)[0] for n in (0.0, 0.5, 1.0)
    )
    np.testing.assert_allclose(half - drift, 0.5 * (full - drift), atol=1e-6)


def test_clip_limits_the_scaled_gradient_of_each_example_over_all_leaves():
    """Scaled gradient s²/(2T) · ∇ = 0.02 ∇; norms 0.02 · (5, 50, 500) against the limit 2.5."""

    def log_prob(position):
        return -0.5 * sum(jnp.sum(p**2, axis=1) for p in position)

    start = (
        jnp.array([[3.0], [30.0], [300.0]]),
        jnp.array([[0.0, 4.0], [0.0, 40.0], [0.0, 400.0]]),
    )
    settings = dict(temperature=2.0, noise_scale=0.0)
    position, info = one_step(langevin(log_prob, np.sqrt(0.08), clip=2.5, **settings), start)
    moved = [np.asarray(a - b) for a, b in zip(position, start, strict=True)]
    lengths = np.array([0.1, 1.0, 2.5])
    np.testing.assert_allclose(moved[0][:, 0], -0.6 * lengths, rtol=1e-4)
    np.testing.assert_allclose(moved[1], np.outer(-0.8 * lengths, [0, 1]), rtol=1e-4)
    np.testing.assert_allclose(info.displacement, lengths, rtol=1e-5)
    np.testing.assert_allclose(info.grad_norm, [5, 50, 500], rtol=1e-5)  # raw, unclipped


def test_clip_leaves_the_noise_alone():
    start = jnp.full((3, 2), 100.0)
    noise = one_step(langevin(lambda x: jnp.zeros(3), 0.5), start)[0] - start
    clipped = one_step(langevin(unit_gaussian, 0.5, clip=1.0), start)[0] - start
    np.testing.assert_allclose(clipped, noise - np.sqrt(0.5), atol=1e-4)  # (−1, −1)/√2


def test_step_sizes_per_leaf_and_per_chain():
    """Displacement of the drift alone is −(s²/2) x: one s a leaf, or one a chain, or both."""

    def log_prob(position):
        return -0.5 * (jnp.sum(position[0] ** 2, axis=1) + jnp.sum(position[1] ** 2, axis=(1, 2)))

    start = (jnp.ones((2, 3)), jnp.ones((2, 3, 4)))
    for step_size, expected in [
        ((0.2, 0.6), [[0.2, 0.2], [0.6, 0.6]]),
        (jnp.array([0.2, 0.6]), [[0.2, 0.6], [0.2, 0.6]]),
        ((jnp.array([0.2, 0.6]), 0.4), [[0.2, 0.6], [0.4, 0.4]]),
    ]:
        position, _ = one_step(langevin(log_prob, step_size, noise_scale=0.0), start)
        for leaf, s in zip(position, np.array(expected), strict=True):
            by_chain = 1 - s**2 / 2
            wanted = np.broadcast_to(by_chain.reshape(2, *[1] * (leaf.ndim - 1)), leaf.shape)
            np.testing.assert_allclose(leaf, wanted, rtol=1e-6)


def test_step_sizes_per_chain_scale_each_chains_noise():
    """[B] step sizes: stationary variance 1 / (1 − s²/4) for each half of the batch."""
    s = jnp.repeat(jnp.array([0.6, 1.4]), CHAINS // 2)
    x = final(langevin(unit_gaussian, s), jnp.zeros((CHAINS, 4)), 40)
    assert_variance(x[: CHAINS // 2], 1 / (1 - 0.6**2 / 4))
    assert_variance(x[CHAINS // 2 :], 1 / (1 - 1.4**2 / 4))


def test_unknown_convention_is_refused():
    with pytest.raises(ValueError, match="convention is 'sd'; use 'std' or 'variance'"):
        one_step(langevin(unit_gaussian, 0.1, convention="sd"), jnp.ones((1, 1)))


# Info


def test_info_is_of_the_position_before_the_move():
    """At (3, 4): energy 25/2, gradient norm 5, whatever the temperature."""
    start = jnp.array([[3.0, 4.0], [0.0, 1.0]])
    position, info = one_step(langevin(unit_gaussian, 0.4, temperature=2.0), start)
    np.testing.assert_allclose(info.energy, [12.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(info.grad_norm, [5.0, 1.0], rtol=1e-6)
    moved = np.linalg.norm(position - start, axis=1)
    np.testing.assert_allclose(info.displacement, moved, rtol=1e-5)
    np.testing.assert_array_equal(info.accepted, [1.0, 1.0])
    np.testing.assert_array_equal(info.finite, [True, True])


def test_a_chain_that_goes_nan_is_reported_and_leaves_the_others_alone():
    def log_prob(x):  # NaN gradient left of zero
        return jnp.sum(jnp.sqrt(x), axis=1)

    kernel = langevin(log_prob, 0.1)
    good = final(kernel, jnp.array([[5.0], [5.0], [5.0]]), 5)
    chain = run_chain(kernel, keys(3), jnp.array([[5.0], [-1.0], [5.0]]), 5)
    np.testing.assert_array_equal(chain.info.finite, [True, False, True])
    np.testing.assert_array_equal(chain.position[::2], good[::2])
    assert np.isnan(chain.position[1]).all()


# Steps of different sizes


def test_steps_that_shrink_by_hand():
    """v ← (1 − s²/2)² v + s² of a unit Gaussian, s of each step; the last one stays."""
    sizes, variance = [1.4, 0.9, 0.9, 0.2], 4.0
    for s in [*sizes, 0.2, 0.2]:
        variance = (1 - s**2 / 2) ** 2 * variance + s**2
    start = 2 * jax.random.normal(jax.random.key(5), (CHAINS, 4))
    x = final(annealed_langevin(unit_gaussian, jnp.array(sizes)), start, len(sizes) + 2)
    assert_variance(x, variance)


def test_steps_of_one_size_are_those_of_the_plain_kernel():
    start = jax.random.normal(jax.random.key(1), (50, 3))
    plain = final(langevin(unit_gaussian, 0.4, clip=0.3), start, 20)
    annealed = final(annealed_langevin(unit_gaussian, jnp.full(20, 0.4), clip=0.3), start, 20)
    np.testing.assert_allclose(annealed, plain, rtol=1e-6, atol=1e-6)
    unclipped = final(annealed_langevin(unit_gaussian, jnp.full(20, 0.4)), start, 20)
    assert np.abs(unclipped - plain).max() > 1e-2
