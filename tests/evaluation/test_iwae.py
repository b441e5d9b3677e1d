"""The importance-weighted bound of the linear-Gaussian model, whose log p(x) is known."""

import jax
import numpy as np
import pytest

from ebm_jax.evaluation.iwae import iwae, iwae_points
from tests.evaluation.test_likelihood import EVIDENCE, X, evidence_of, exact_posterior
from tests.methods.linear_gaussian import (
    D1,
    D2,
    log_evidence,
    log_integral,
    log_tilted_prior,
    parameters,
)


@pytest.fixture(scope="module")
def params():
    return parameters()


@pytest.fixture(scope="module")
def truth(params):
    """(log Z, log p(x) [3])."""
    log_z = log_integral(lambda z: log_tilted_prior(params, z), np.float32)
    return float(log_z), np.array([log_evidence(params, jax.numpy.asarray(x)) for x in X])


def test_iwae_of_the_exact_posterior_is_exact_for_any_number_of_samples(params, truth):
    log_z, log_p = truth
    for num in (1, 2, 30):
        found = iwae(EVIDENCE, params, X, jax.random.key(0), np.arange(3), num, at_once=8)
        np.testing.assert_allclose(found["bound"] - log_z, log_p, atol=2e-3)
        np.testing.assert_allclose(found["elbo"] - log_z, log_p, atol=2e-3)


def test_iwae_of_another_proposal_rises_to_log_p(params, truth):
    """A q three times too wide; with 1 sample it is the ELBO, with many log p(x)."""
    broad = evidence_of(proposal=lambda p, x: exact_posterior(p, x, width=3.0))
    copies = np.repeat(X, 100, 0)
    found = iwae(broad, params, copies, jax.random.key(0), np.arange(300), 1000, at_once=64)
    curve = found["curve"].reshape(-1, 3, 100).mean(2) - truth[0]  # [1, 10, 100, 1000 samples]
    assert iwae_points(1000) == [1, 10, 100, 1000] and curve.shape == (4, 3)
    assert np.all(np.diff(curve, axis=0) > 0) and np.all(curve < truth[1] + 0.02)
    np.testing.assert_allclose(curve[-1], truth[1], atol=0.1)
    assert np.all(curve[0] < truth[1] - 1)
    elbo = found["elbo"].reshape(3, 100).mean(1) - truth[0]
    # Closed form of the ELBO's gap, KL(q || p) of Gaussians that differ by the factor 3.
    gap = (D1 + D2) * ((9 - 1) / 2 - np.log(3.0))
    np.testing.assert_allclose(truth[1] - elbo, gap, rtol=0.03)


def test_iwae_does_not_depend_on_how_many_samples_are_drawn_at_once(params):
    broad = evidence_of(proposal=lambda p, x: exact_posterior(p, x, width=2.0))
    runs = [
        iwae(broad, params, X, jax.random.key(0), np.arange(3), 25, at_once=n) for n in (25, 10)
    ]
    for name in ("bound", "elbo", "curve"):
        np.testing.assert_allclose(runs[0][name], runs[1][name], rtol=1e-5)
