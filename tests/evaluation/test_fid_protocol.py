"""FID against closed forms, its least sample count, and its names."""

import numpy as np
import pytest
import scipy.linalg

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.fid_protocol import check_count, fid, metric_name, protocol
from ebm_jax.evaluation.frechet import Moments, moments, moments_of_chunks


def gaussian_sample(rng, mean, covariance, count):
    """A sample whose mean and n − 1 covariance are exactly these."""
    x = rng.normal(size=(count, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T)).T)
    return x @ np.linalg.cholesky(covariance).T + mean


def covariance(rng, dim):
    factor = rng.normal(size=(dim, 2 * dim))
    return factor @ factor.T / (2 * dim)


@pytest.mark.parametrize("dim", [3, 64])
def test_two_gaussian_samples_have_the_closed_form(dim):
    rng = np.random.default_rng(dim)
    mean_a, mean_b = rng.normal(size=(2, dim))
    cov_a, cov_b = covariance(rng, dim), covariance(rng, dim)
    a = moments(gaussian_sample(rng, mean_a, cov_a, 300))
    b = moments_of_chunks(np.array_split(gaussian_sample(rng, mean_b, cov_b, 200), 7))
    root = np.real(scipy.linalg.sqrtm(cov_a @ cov_b))
    expected = np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert fid(a, b) == pytest.approx(expected, rel=1e-6)


def test_samples_converge_to_it():
    """N(0, 1) against N(1, 4) in every coordinate: D (1 + (2 − 1)²)."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(20_000, 5)), 1 + 2 * rng.normal(size=(20_000, 5))
    assert fid(moments(a), moments(b)) == pytest.approx(10.0, rel=0.05)


def test_fewer_samples_than_features_are_refused():
    rng = np.random.default_rng(0)
    enough, few = moments(rng.normal(size=(65, 64))), moments(rng.normal(size=(64, 64)))
    assert fid(enough, enough) == pytest.approx(0, abs=1e-6)
    with pytest.raises(ConfigError, match="FID in 64 features needs at least 65 samples .*got 64"):
        fid(enough, few)
    unknown = Moments(few.mean, few.covariance, 0)
    assert np.isfinite(fid(enough, unknown))  # another's file that does not say


def test_the_refusal_names_a_width_that_would_do():
    with pytest.raises(
        ConfigError, match="2048 .*got 1000; use more, or compare features of width 768"
    ):
        check_count(1000, 2048)
    with pytest.raises(ConfigError, match="got 60; use more.$"):
        check_count(60, 64)
    check_count(2049, 2048)


def test_different_widths_are_refused():
    with pytest.raises(ConfigError, match="these have 3 and 4; choose --features"):
        fid(Moments(np.zeros(3), np.eye(3), 9), Moments(np.zeros(4), np.eye(4), 9))


@pytest.mark.parametrize(
    "arguments, name",
    [
        (("2048", 50_000, "clean", "train"), "fid50k_train_clean"),
        (("2048", 10_000, "legacy", "train"), "fid10k_train_legacy"),
        (("2048", 2100, "clean"), "fid_n2100_clean"),
        (("768", 50_000, "clean", "train"), "fid768_50k_train_clean"),
        (("768", 800, "clean", "train[:80%]"), "fid768_n800_train80_clean"),
        (("64", 0, "clean"), "fid64_nunknown_clean"),
    ],
)
def test_names(arguments, name):
    assert metric_name(*arguments) == name


def test_protocol_sets_other_widths_apart():
    assert "not that of published 2048-d FID" in protocol("768", "clean", "abc")
    standard = protocol("2048", "legacy", "abc")
    assert "published" not in standard and "TF1: no half-pixel centres" in standard
