"""The diffusion's schedule against the paper's tables, its densities against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.densities import diffusion

# ICML 2024, the factors of T = 3, and α for T = 2 and 6.
TABLE = {
    "alpha": (0.99995, 0.72213, 0.38627, 0.02278),
    "sigma": (0.01000, 0.69175, 0.92239, 0.99974),
    "sigma_bar": (0.01000, 0.69179, 0.96031, 0.99998),
}
ALPHA = {
    2: (0.99995, 0.27893, 0.02278),
    6: (0.99995, 0.94617, 0.85629, 0.77480, 0.70092, 0.63396, 0.02278),
}


def latents(seed, batch=4):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=(batch, n)), jnp.float32) for n in (3, 2))


@pytest.mark.parametrize("name", TABLE)
def test_three_steps_are_those_of_the_papers_table(name):
    np.testing.assert_allclose(getattr(diffusion.schedule(3), name), TABLE[name], atol=5e-6)


@pytest.mark.parametrize("steps", ALPHA)
def test_two_and_six_steps_are_those_of_the_papers_table(steps):
    np.testing.assert_allclose(diffusion.schedule(steps).alpha, ALPHA[steps], atol=5e-6)


def test_step_sizes_of_three_steps_are_the_papers():
    equal = diffusion.step_sizes(diffusion.schedule(3), 0.09, "conditional")
    np.testing.assert_allclose(equal, 0.09 * np.array([0.69175, 0.92239, 0.99974]) ** 2, rtol=1e-4)
    found = diffusion.step_sizes(diffusion.schedule(3), 3e-5)
    np.testing.assert_allclose(found, (1.436e-5, 1.766e-3, 2.879e-3), rtol=5e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 6, 501])
def test_any_number_of_steps_ends_at_the_same_noise(steps):
    """α² + σ² = 1 at each level, ᾱ is their product, and the process as a whole is the same."""
    levels = diffusion.schedule(steps)
    assert levels.num_steps == steps
    np.testing.assert_allclose(levels.alpha**2 + levels.sigma**2, 1.0, atol=1e-6)
    np.testing.assert_allclose(levels.alpha_bar**2 + levels.sigma_bar**2, 1.0, atol=1e-6)
    np.testing.assert_allclose(np.cumprod(levels.alpha), levels.alpha_bar, rtol=1e-4)
    kept = np.prod(np.sqrt(1 - np.linspace(1e-4, 0.02, 1000)))
    assert float(levels.alpha_bar[-1]) == pytest.approx(kept, rel=1e-5)
    assert np.all(np.diff(levels.sigma_bar) > 0)


@pytest.mark.parametrize("steps", [0, 502])
def test_numbers_of_steps_that_have_no_schedule(steps):
    with pytest.raises(ValueError, match=f"num_steps is {steps}; use 1 to 501"):
        diffusion.schedule(steps)


def test_noise_added_at_once_is_noise_added_step_by_step():
    """ũ_t is linear in (u, ε): the factors of all steps, for a level of its own per example."""
    levels = diffusion.schedule(3)
    t = jnp.array([0, 1, 2, 1])
    u, noise = latents(0), latents(1)
    found = diffusion.noised(levels, u, t, noise)
    for a, b, e in zip(found, u, noise, strict=True):
        expected = levels.alpha_bar[t][:, None] * b + levels.sigma_bar[t][:, None] * e
        np.testing.assert_allclose(a, expected, rtol=1e-6)
    # u goes on by α_{t+1}, and the variances add up to those of the next level.
    next_bar = diffusion.one_step_noisier(levels, found, t, jax.tree.map(jnp.zeros_like, noise))
    for a, b in zip(next_bar, found, strict=True):
        np.testing.assert_allclose(a, levels.alpha[t + 1][:, None] * b, rtol=1e-6)
    variance = levels.alpha[t + 1] ** 2 * levels.sigma_bar[t] ** 2 + levels.sigma[t + 1] ** 2
    np.testing.assert_allclose(variance, levels.sigma_bar[t + 1] ** 2, rtol=1e-5)


def test_without_energy_a_step_back_is_a_gaussian_in_closed_form():
    """p(ũ_t|ũ_{t+1}) = N(α_{t+1} ũ_{t+1}, σ²_{t+1} I), and N(0, I) where nothing is conditioned
    on, at the last level."""
    levels = diffusion.schedule(3)
    t = jnp.array([0, 1, 2, 0])
    noisier, u = latents(2), latents(3)
    log_prob = diffusion.recovery_log_prob(lambda u: jnp.zeros(4), levels, t, noisier)
    score = jax.grad(lambda u: jnp.sum(log_prob(u)))(u)
    last = np.asarray(t == 2)[:, None]
    alpha, variance = levels.alpha[t + 1][:, None], levels.sigma[t + 1][:, None] ** 2
    for got, a, b in zip(score, u, noisier, strict=True):
        expected = np.where(last, -a, -(a - alpha * b) / variance)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)


def test_the_conditional_is_bayes_rule_of_the_marginal():
    """log p(ũ_t|ũ_{t+1}) − log p(ũ_t) is the forward step's log density, but for a constant."""
    levels = diffusion.schedule(6)
    t = jnp.array([0, 1, 3, 4])
    noisier = latents(4)

    def tilt(u):
        return jnp.sin(u[0].sum(1)) - 0.2 * (u[1] ** 4).sum(1)

    def difference(u):
        conditional = diffusion.recovery_log_prob(tilt, levels, t, noisier)(u)
        marginal = tilt(u) + sum(-0.5 * (leaf**2).sum(1) for leaf in u)
        pairs = zip(u, noisier, strict=True)
        alpha, sigma = levels.alpha[t + 1][:, None], levels.sigma[t + 1][:, None]
        forward = sum(-0.5 * (((b - alpha * a) / sigma) ** 2).sum(1) for a, b in pairs)
        return conditional - marginal - forward

    np.testing.assert_allclose(difference(latents(5)), difference(latents(6)), atol=2e-4)
