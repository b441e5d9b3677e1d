"""log Z and log p(x) of the linear-Gaussian model, known in closed form, between their bounds."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.densities.gaussian import normal_log_prob
from ebm_jax.evaluation.likelihood import log_marginal, log_partition, tune_steps
from ebm_jax.methods.base import Evidence
from ebm_jax.methods.evidence import annealed, temperatures
from ebm_jax.samplers import normal_like
from tests.methods.linear_gaussian import (
    D1,
    D2,
    SIGMA,
    log_evidence,
    log_integral,
    log_joint,
    log_likelihood,
    log_tilted_prior,
    natural,
    neg_energy,
    parameters,
    prior,
    split,
)

X = np.array([[0.7, -1.1, 0.4, 1.6], [-0.3, 0.2, 2.0, -0.5], [1.5, 1.0, -1.0, 0.0]], np.float32)
T = 250
BETAS = np.asarray(temperatures(T))


def base(keys):
    return normal_like(keys, tuple(jnp.zeros((keys.shape[0], d)) for d in (D1, D2)))


def tilt(params, x, u):
    z, _ = prior(params).to_z(u)
    value = neg_energy(params, z)
    return value if x is None else value + log_likelihood(params, x, z)


def simulate(params, u, key, index):
    z, _ = prior(params).to_z(u)
    mean = z[0] @ params["generator"]["W"] + params["generator"]["w"][None]
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
    return mean + SIGMA * normal_like(keys, mean)


def weights_of(proposal):
    """log_weights of an Evidence for a Gaussian q(z|x): proposal(params, x) → (mean, root)."""

    def log_weights(params, x, key, index, num, start=0):
        keys = jax.vmap(jax.random.fold_in, (None, 0))(key, index)
        mean, root = proposal(params, x)  # [B, D], [D, D]: z = mean + root ε

        def one(number):
            drawn = jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            noise = normal_like(drawn, mean)
            flat = mean + noise @ root.T
            log_q = normal_log_prob(noise, jnp.zeros_like(noise), jnp.ones(()))
            log_q -= jnp.linalg.slogdet(root)[1]
            return jax.vmap(lambda x, z: log_joint(params, x, z))(x, flat) - log_q

        return jax.lax.map(one, start + jnp.arange(num))

    return log_weights


def exact_posterior(params, x, width=1.0):
    """Mean and root of p(z|x); a `width` other than 1 spoils it."""

    def one(x):
        _, h, precision = natural(lambda z: log_joint(params, x, z), jnp.float32)
        return jnp.linalg.solve(precision, h)

    _, _, precision = natural(lambda z: log_joint(params, x[0], z), jnp.float32)
    return jax.vmap(one)(x), width * jnp.linalg.cholesky(jnp.linalg.inv(precision))


def evidence_of(tilt=tilt, proposal=exact_posterior, leapfrog=5):
    parts = annealed(tilt, base, leapfrog)
    return Evidence(
        tilt=tilt,
        simulate=jax.jit(simulate),
        log_weights=jax.jit(weights_of(proposal), static_argnames="num"),
        log_bin=0.0,
        scale="",
        **{name: jax.jit(part) for name, part in parts.items()},
    )


EVIDENCE = evidence_of()


@pytest.fixture(scope="module")
def params():
    return parameters()


@pytest.fixture(scope="module")
def truth(params):
    """(log Z, log p(x) [3])."""
    log_z = log_integral(lambda z: log_tilted_prior(params, z), jnp.float32)
    return float(log_z), np.array([log_evidence(params, jnp.asarray(x)) for x in X], np.float64)


@pytest.fixture(scope="module")
def partition(params):
    return log_partition(EVIDENCE, params, jax.random.key(0), BETAS, 800, 400)


@pytest.fixture(scope="module")
def steps(params):
    return tune_steps(EVIDENCE, params, np.repeat(X, 20, 0), jax.random.key(1), BETAS)


def test_log_partition_is_between_its_bounds(partition, truth):
    log_z, _ = truth
    assert abs(partition.lower - log_z) < 5 * partition.lower_error + 1e-3
    assert abs(partition.upper - log_z) < 5 * partition.upper_error + 1e-3
    assert abs(partition.upper - partition.lower) < 0.1
    assert max(partition.lower_error, partition.upper_error) < 0.02
    assert 400 < partition.effective_chains <= 800
    assert 0.4 < partition.accepted < 0.95


def test_bounds_of_log_partition_hold_in_expectation(params, truth):
    """Single chains of a short schedule: Jensen's gap is seen on both sides of the truth."""
    betas = np.asarray(temperatures(20))
    steps = EVIDENCE.tune(params, None, jax.random.key(5), np.arange(200), betas)
    index = np.arange(2000)
    up = EVIDENCE.forward(params, None, jax.random.key(2), index, betas, steps)
    _, h, precision = natural(lambda z: log_tilted_prior(params, z), jnp.float32)
    mean = np.linalg.solve(precision, h)
    covariance = np.linalg.inv(np.asarray(precision, np.float64))
    covariance = (covariance + covariance.T) / 2
    draws = np.random.RandomState(0).multivariate_normal(mean, covariance, 2000)
    u, _ = prior(params).to_u(split(jnp.asarray(draws, jnp.float32)))
    down = EVIDENCE.reverse(params, None, u, jax.random.key(3), index, betas, steps)
    log_z, _ = truth
    for values, sign in ((up.log_weights, 1), (-down.log_weights, -1)):
        error = np.std(values) / np.sqrt(2000)
        assert sign * (log_z - np.mean(values)) > 3 * error
        assert error > 0


def test_samples_of_the_prior_have_its_moments(partition, params):
    _, h, precision = natural(lambda z: log_tilted_prior(params, z), jnp.float32)
    covariance = np.linalg.inv(precision)
    z = np.concatenate(prior(params).to_z(tuple(map(jnp.asarray, partition.samples)))[0], axis=1)
    mean = np.linalg.solve(precision, h)
    errors = np.sqrt(np.diag(covariance) / len(z))
    assert np.all(np.abs(z.mean(0) - mean) < 6 * errors)  # resampled chains share ancestors
    np.testing.assert_allclose(np.cov(z.T), covariance, atol=0.15 * np.max(np.diag(covariance)))


def test_log_marginal_minus_log_partition_is_log_p(params, truth, steps):
    log_z, log_p = truth
    found = log_marginal(
        EVIDENCE, params, X, jax.random.key(4), BETAS, steps, 200, 3, iwae_samples=50
    )
    np.testing.assert_allclose(found.ais - log_z, log_p, atol=0.1)
    np.testing.assert_allclose(found.iwae - log_z, log_p, atol=2e-3)
    assert found.ais_upper is None


def test_simulated_images_are_between_their_bounds(params, truth, partition, steps):
    """BDMC: latents of the EBM prior, x from them, and the chain back from the true latents."""
    log_z, _ = truth
    u = tuple(leaf[:40] for leaf in partition.samples)
    x = np.asarray(simulate(params, tuple(map(jnp.asarray, u)), jax.random.key(6), np.arange(40)))
    log_p = np.array([log_evidence(params, jnp.asarray(one)) for one in x], np.float64)
    found = log_marginal(
        EVIDENCE, params, x, jax.random.key(7), BETAS, steps, 20, 40, latents=u, iwae_samples=0
    )
    lower, upper = found.ais.mean() - log_z, found.ais_upper.mean() - log_z
    assert upper - lower < 0.1
    assert -0.08 < lower - log_p.mean() < 0.02  # two standard errors on the wrong side
    assert -0.02 < upper - log_p.mean() < 0.08
    single = log_marginal(
        EVIDENCE, params, x, jax.random.key(8), BETAS, steps, 1, 40, latents=u, iwae_samples=0
    )
    assert single.ais.mean() - log_z < log_p.mean() < single.ais_upper.mean() - log_z
    assert found.iwae is None and found.elbo is None


def test_chunks_do_not_change_the_numbers(params, steps):
    def run(chunk):
        return log_marginal(
            EVIDENCE, params, X, jax.random.key(4), BETAS[:41], steps[:40], 4, chunk, iwae_samples=7
        )

    one, three = run(1), run(3)
    np.testing.assert_allclose(one.ais, three.ais, atol=1e-3)
    np.testing.assert_allclose(one.iwae, three.iwae, atol=1e-4)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda p, x, u: -tilt(p, x, u),
        lambda p, x, u: tilt(p, x, u) - prior(p).to_z(u)[1],  # a log σ too many
        lambda p, x, u: tilt(p, x, u) - neg_energy(p, prior(p).to_z(u)[0]),  # no energy
    ],
)
def test_a_wrong_term_is_seen(wrong, params, truth, steps):
    broken = evidence_of(wrong, leapfrog=2)
    found = log_marginal(broken, params, X, jax.random.key(4), BETAS, steps, 50, 3)
    assert np.min(np.abs(found.ais - truth[0] - truth[1])) > 0.15
