"""The gradient estimators of the joint model against the exact gradient of log p(x)."""

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal

from ebm_jax.densities.joint import learning_loss
from ebm_jax.densities.tilted import tilted_in_u, tilted_in_z
from ebm_jax.samplers import mala, run_chain
from tests.methods.linear_gaussian import (
    D1,
    D2,
    DENSITY,
    SIGMA,
    exact_samples,
    log_evidence,
    log_joint,
    log_likelihood,
    log_tilted_prior,
    neg_energy,
    parameters,
    prior,
    split,
)

X = np.array([0.7, -1.1, 0.4, 1.6], np.float32)
BATCHES, SIZE = 60, 2000
LIMIT = 5.0  # standard errors; 32 coordinates are compared


def estimates(z_positive, z_negative, density=DENSITY):
    """(mean, standard error) of the estimator of ∇ log p(x), over independent batches."""
    params = parameters()
    x = jnp.broadcast_to(jnp.asarray(X), (SIZE, X.size))

    def one(positive, negative):
        def loss(params):
            return learning_loss(density, params, x, split(positive), split(negative))[0]

        return jax.tree.map(jnp.negative, jax.grad(loss)(params))

    def batched(flat):
        return flat.reshape(BATCHES, SIZE, D1 + D2)

    grads = jax.jit(lambda p, n: jax.lax.map(lambda b: one(*b), (p, n)))(
        batched(z_positive), batched(z_negative)
    )
    grads = jax.tree.map(lambda g: np.asarray(g, np.float64), grads)
    mean = jax.tree.map(lambda g: g.mean(0), grads)
    error = jax.tree.map(lambda g: g.std(0, ddof=1) / np.sqrt(BATCHES), grads)
    return mean, error


def deviations(z_positive, z_negative, density=DENSITY):
    """Largest deviation from the exact gradient in standard errors, per group and parameter."""
    exact = jax.grad(log_evidence)(parameters(), jnp.asarray(X))
    mean, error = estimates(z_positive, z_negative, density)

    def worst(m, e, truth):
        # 1e-4: float32 rounding of the sums
        return float(np.max(np.abs(m - np.asarray(truth)) / np.hypot(e, 1e-4)))

    return jax.tree.map(worst, mean, error, exact)


@pytest.fixture(scope="module")
def exact():
    params = parameters()
    count = BATCHES * SIZE
    positive = exact_samples(lambda z: log_joint(params, jnp.asarray(X), z), count, 1)
    negative = exact_samples(lambda z: log_tilted_prior(params, z), count, 2)
    return positive, negative


def test_the_exact_gradient_agrees_with_finite_differences_in_float64():
    with jax.enable_x64(True):
        params = parameters(np.float64)
        x = jnp.asarray(X, jnp.float64)
        flat, unravel = jax.flatten_util.ravel_pytree(params)
        evidence = jax.jit(lambda f: log_evidence(unravel(f), x))
        gradient = np.asarray(jax.grad(evidence)(flat))
        step = 1e-5
        for i in range(flat.size):
            shift = np.zeros(flat.size)
            shift[i] = step
            difference = (evidence(flat + shift) - evidence(flat - shift)) / (2 * step)
            assert gradient[i] == pytest.approx(float(difference), rel=1e-6, abs=1e-7)


def test_evidence_without_energies_is_the_gaussian_marginal():
    params = parameters()
    params["energy"] = jax.tree.map(jnp.zeros_like, params["energy"])
    p, g = (jax.tree.map(np.asarray, params[k]) for k in ("prior", "generator"))
    cov_z1 = p["A"].T @ p["A"] + np.diag(np.exp(2 * p["log_s"]))
    mean = p["a"] @ g["W"] + g["w"]
    covariance = g["W"].T @ cov_z1 @ g["W"] + SIGMA**2 * np.eye(4)
    expected = multivariate_normal(mean, covariance).logpdf(X)
    assert float(log_evidence(params, jnp.asarray(X))) == pytest.approx(expected, rel=1e-4)


def test_every_group_with_exact_samples(exact):
    worst = deviations(*exact)
    assert max(jax.tree.leaves(worst)) < LIMIT, worst


def test_dropping_the_prior_expectation_of_beta_is_seen(exact):
    """E⁻[∇ log p_β] is the term that is easily forgotten: without it β's gradient is wrong."""
    positive, negative = exact

    def forgetful(params):
        p = prior(params)

        def log_prob(z):  # the negative phase sees a constant prior
            is_negative = z[0].shape[0] == SIZE and forgetful.calls % 2 == 1
            forgetful.calls += 1
            return jax.lax.stop_gradient(p.log_prob(z)) if is_negative else p.log_prob(z)

        return p._replace(log_prob=log_prob)

    forgetful.calls = 0
    worst = deviations(positive, negative, DENSITY._replace(prior=forgetful))
    assert min(worst["prior"].values()) > 3 * LIMIT
    assert max(worst["energy"].values()) < LIMIT
    assert max(worst["generator"].values()) < LIMIT


@pytest.mark.parametrize("space", ["z", "u"])
def test_every_group_with_long_mala_chains(space):
    params = parameters()
    base = prior(params)
    x = jnp.asarray(X)[None]
    count = BATCHES * SIZE // 10
    chains = jax.random.split(jax.random.key(3), count)

    def tilt_posterior(z):
        return log_likelihood(params, jnp.broadcast_to(x, (z[0].shape[0], 4)), z) + neg_energy(
            params, z
        )

    def draw(tilt, seed, step_size):
        target = (tilted_in_u if space == "u" else tilted_in_z)(base, tilt)
        normal = np.random.RandomState(seed).standard_normal
        start = (
            jnp.asarray(normal((count, D1)), jnp.float32),
            jnp.asarray(normal((count, D2)), jnp.float32),
        )
        run = jax.jit(
            lambda keys, start: run_chain(mala(target, step_size), keys, start, 600, keep_every=60)
        )
        chain = run(chains, start)
        assert 0.4 < float(chain.info.accepted.mean()) < 0.99
        kept = chain.trajectory
        if space == "u":
            kept = jax.lax.map(lambda u: base.to_z(u)[0], kept)
        flat = jnp.concatenate(kept, axis=-1)  # [10, count, D]
        return jnp.swapaxes(flat, 0, 1).reshape(-1, D1 + D2)  # a chain stays within one batch

    posterior = draw(tilt_posterior, 4, 0.4 if space == "z" else 0.25)
    negative = draw(lambda z: neg_energy(params, z), 5, 0.5)
    worst = deviations(posterior, negative)
    assert max(jax.tree.leaves(worst)) < LIMIT, worst


@pytest.mark.parametrize(
    "group, flip",
    [
        ("energy", lambda d: d._replace(neg_energy=lambda p, z: -neg_energy(p, z))),
        ("generator", lambda d: d._replace(log_likelihood=lambda *a: -log_likelihood(*a))),
    ],
)
def test_a_flipped_sign_is_seen(exact, group, flip):
    worst = deviations(*exact, flip(DENSITY))
    assert min(worst[group].values()) > 3 * LIMIT


def test_negative_weight_zero_removes_the_negative_phase(exact):
    positive, negative = (split(flat[:8]) for flat in exact)
    x = jnp.broadcast_to(jnp.asarray(X), (8, 4))

    def gradient(*negatives):
        return jax.grad(lambda p: learning_loss(DENSITY, p, x, positive, *negatives)[0])(
            parameters()
        )

    weighted, without = gradient(negative, 0.0), gradient(None)
    jax.tree.map(np.testing.assert_allclose, weighted, without)
