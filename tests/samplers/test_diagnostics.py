"""R-hat and ESS: ArviZ's numbers on the same chains, and an AR(1) process's known answer."""

import warnings

import numpy as np
import pytest

from ebm_jax.samplers.diagnostics import autocovariance, effective_sample_size, split_rhat


def ar1(phi, draws, chains, seed=0):
    """Stationary AR(1) chains of unit variance, [T, C]: autocorrelation φ^|lag|."""
    noise = np.random.default_rng(seed).standard_normal((draws, chains))
    x = noise.copy()
    for t in range(1, draws):
        x[t] = phi * x[t - 1] + np.sqrt(1 - phi**2) * noise[t]
    return x


def cases():
    rng = np.random.default_rng(1)
    drifting = ar1(0.6, 80, 5) + np.linspace(0, 3, 80)[:, None]
    apart = ar1(0.3, 101, 4) + np.array([0.0, 0.0, 0.0, 2.0])[None]
    scaled = ar1(0.3, 100, 4) * np.array([1.0, 1.0, 1.0, 5.0])[None]
    return {
        "independent": rng.standard_normal((200, 4)),
        "slow": ar1(0.95, 400, 3),
        "antithetic": ar1(-0.7, 300, 6),
        "odd length": ar1(0.5, 37, 3),
        "one chain": ar1(0.5, 250, 1),
        "heavy tails": rng.standard_cauchy((150, 4)),
        "ties": np.round(ar1(0.8, 200, 4)),
        "drifting": drifting,
        "one apart": apart,
        "one wide": scaled,
        "four draws": rng.standard_normal((4, 8)),
        "five draws": rng.standard_normal((5, 3)),
    }


@pytest.mark.parametrize("name", cases())
def test_agrees_with_arviz(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        arviz = pytest.importorskip("arviz")
    draws = cases()[name]
    np.testing.assert_allclose(effective_sample_size(draws), arviz.ess(draws.T), rtol=1e-9)
    if draws.shape[1] > 1:  # ArviZ refuses an R-hat of one chain
        np.testing.assert_allclose(split_rhat(draws), arviz.rhat(draws.T), rtol=1e-9)


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.5])
def test_ess_of_an_ar1_process(phi):
    """Integrated autocorrelation time (1 + φ) / (1 − φ), the same for ranks of a Gaussian."""
    draws = ar1(phi, 4000, 8)
    expected = draws.size * (1 - phi) / (1 + phi)
    assert effective_sample_size(draws) == pytest.approx(expected, rel=0.08)


def test_rhat_of_chains_that_agree_and_that_do_not():
    agree = ar1(0.5, 2000, 8)
    assert 1.0 <= split_rhat(agree) < 1.01
    assert split_rhat(agree + np.arange(8)[None]) > 1.5  # other means
    assert split_rhat(agree * np.array([1.0, 4.0] * 4)[None]) > 1.1  # other scales: folded
    assert split_rhat(agree + np.linspace(0, 3, 2000)[:, None]) > 1.2  # a drift: split


def test_dimensions_are_taken_apart():
    draws = np.stack([ar1(0.2, 300, 4), ar1(0.9, 300, 4, seed=1)], axis=-1)
    for statistic in (effective_sample_size, split_rhat):
        both = statistic(draws)
        assert both.shape == (2,)
        assert [both[0], both[1]] == [statistic(draws[..., 0]), statistic(draws[..., 1])]
    fast, slow = effective_sample_size(draws)
    assert fast > 5 * slow


def test_neither_depends_on_a_monotone_map():
    draws = ar1(0.6, 500, 4)
    assert effective_sample_size(np.exp(draws)) == pytest.approx(effective_sample_size(draws))


def test_autocovariance_is_the_direct_sum():
    chain = ar1(0.7, 50, 2).T
    centred = chain - chain.mean(1, keepdims=True)
    direct = [[c[: 50 - lag] @ c[lag:] / 50 for lag in range(50)] for c in centred]
    np.testing.assert_allclose(autocovariance(chain), direct, atol=1e-12)


def test_a_diverged_chain_is_no_number():
    draws = ar1(0.5, 100, 4)
    draws[50, 2] = np.nan
    assert np.isnan(effective_sample_size(draws)) and np.isnan(split_rhat(draws))


@pytest.mark.parametrize("shape", [(3, 4), (10,), (0, 4), (10, 0), (10, 4, 2, 1)])
def test_shapes_that_make_no_sense(shape):
    with pytest.raises(ValueError, match=r"must be \[T, C\] or \[T, C, D\]"):
        effective_sample_size(np.zeros(shape))
