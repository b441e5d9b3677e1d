"""The Fréchet distance against closed forms and against SciPy's matrix square root."""

import numpy as np
import pytest
import scipy.linalg

from ebm_jax.evaluation.frechet import (
    Moments,
    accumulate,
    empty_accumulator,
    finalize,
    frechet_distance,
    merge,
    moments,
    moments_of_chunks,
)


def random_covariance(rng, dim, rank=None):
    factor = rng.normal(size=(dim, rank or 2 * dim))
    return factor @ factor.T / factor.shape[1]


def test_moments_match_numpy(rng):
    features = rng.normal(size=(50, 6)).astype(np.float32)
    got = moments(features)
    np.testing.assert_allclose(got.mean, features.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(got.covariance, np.cov(features.astype(np.float64).T), rtol=1e-11)
    assert got.count == 50
    assert got.mean.dtype == got.covariance.dtype == np.float64


@pytest.mark.parametrize("sizes", [(1,) * 40, (39, 1), (7, 0, 13, 20)])
def test_chunks_do_not_matter(rng, sizes):
    features = rng.normal(size=(40, 5)) @ rng.normal(size=(5, 5)) + 3.0
    chunks = np.split(features, np.cumsum(sizes)[:-1])
    got, whole = moments_of_chunks(chunks), moments(features)
    np.testing.assert_allclose(got.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(got.covariance, whole.covariance, rtol=1e-10, atol=1e-12)
    assert got.count == 40


def test_rows_beyond_one_internal_block(rng):
    features = rng.normal(size=(8192 + 100, 3))
    np.testing.assert_allclose(moments(features).covariance, np.cov(features.T), rtol=1e-11)


def test_merge_is_symmetric_and_has_an_identity(rng):
    a = accumulate(empty_accumulator(4), rng.normal(size=(9, 4)))
    b = accumulate(empty_accumulator(4), rng.normal(size=(5, 4)) + 2.0)
    for one, other in zip(finalize(merge(a, b)), finalize(merge(b, a)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    for one, other in zip(merge(a, empty_accumulator(4)), a, strict=True):
        np.testing.assert_array_equal(one, other)


def test_accumulation_survives_a_large_mean(rng):
    features = rng.normal(size=(1000, 3))
    shifted = moments_of_chunks(np.split(features + 1e8, 10))
    # E[x^2] - mean^2 would be off by about 1 here: 1e16 has a spacing of 2.
    np.testing.assert_allclose(shifted.covariance, np.cov(features.T), atol=1e-6)


def test_diagonal_gaussians(rng):
    mean_a, mean_b = rng.normal(size=(2, 7))
    std_a, std_b = rng.uniform(0.1, 3.0, size=(2, 7))
    got = frechet_distance(
        Moments(mean_a, np.diag(std_a**2), 10), Moments(mean_b, np.diag(std_b**2), 10)
    )
    expected = np.sum((mean_a - mean_b) ** 2) + np.sum((std_a - std_b) ** 2)
    assert got == pytest.approx(expected, rel=1e-12)


def test_commuting_covariances(rng):
    basis, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    std_a, std_b = rng.uniform(0.1, 3.0, size=(2, 6))
    a = Moments(np.zeros(6), basis @ np.diag(std_a**2) @ basis.T, 10)
    b = Moments(np.zeros(6), basis @ np.diag(std_b**2) @ basis.T, 10)
    assert frechet_distance(a, b) == pytest.approx(np.sum((std_a - std_b) ** 2), rel=1e-10)


def test_agrees_with_scipy_sqrtm(rng):
    for dim in (2, 16, 64):
        mean_a, mean_b = rng.normal(size=(2, dim))
        cov_a, cov_b = random_covariance(rng, dim), random_covariance(rng, dim)
        root = scipy.linalg.sqrtm(cov_a @ cov_b)
        expected = np.sum((mean_a - mean_b) ** 2) + np.trace(cov_a + cov_b - 2 * np.real(root))
        a, b = Moments(mean_a, cov_a, 10), Moments(mean_b, cov_b, 10)
        assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
        assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)


def test_zero_for_itself(rng):
    full = moments(rng.normal(size=(200, 20)))
    deficient = moments(rng.normal(size=(10, 20)))
    for fit in (full, deficient):
        assert 0.0 <= frechet_distance(fit, fit) < 1e-9 * np.trace(fit.covariance)


def test_rank_deficient_is_finite_and_right(rng):
    a, b = moments(rng.normal(size=(8, 30))), moments(rng.normal(size=(12, 30)))
    got = frechet_distance(a, b)
    # The nuclear norm of S_1^(1/2) S_2^(1/2) is the same trace by another route.
    factor_a, factor_b = (
        np.linalg.eigh(m.covariance)[1] * np.sqrt(np.linalg.eigvalsh(m.covariance).clip(0))[None]
        for m in (a, b)
    )
    cross = np.linalg.svd(factor_a.T @ factor_b, compute_uv=False).sum()
    expected = np.sum((a.mean - b.mean) ** 2) + np.trace(a.covariance + b.covariance) - 2 * cross
    assert np.isfinite(got) and got > 0.0
    assert got == pytest.approx(expected, rel=1e-5)


def test_constant_features_leave_the_mean_term():
    a, b = moments(np.zeros((5, 3))), moments(np.full((5, 3), 2.0))
    assert frechet_distance(a, b) == pytest.approx(12.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_non_finite_features_are_refused(bad):
    features = np.zeros((4, 2))
    features[1, 1] = bad
    with pytest.raises(ValueError, match="1 of rows 0 to 3"):
        moments(features)
    with pytest.raises(ValueError, match="finite"):
        frechet_distance(Moments(np.full(2, bad), np.eye(2), 4), Moments(np.zeros(2), np.eye(2), 4))


def test_malformed_input_is_refused(rng):
    with pytest.raises(ValueError, match="at least 2"):
        moments(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="at least 2"):
        moments_of_chunks([])
    with pytest.raises(ValueError, match="matrix"):
        moments(np.zeros(3))
    with pytest.raises(ValueError, match="3-d and 4-d"):
        moments_of_chunks([np.zeros((5, 3)), np.zeros((5, 4))])
    with pytest.raises(ValueError, match="3-d and 2-d"):
        frechet_distance(moments(rng.normal(size=(9, 3))), moments(rng.normal(size=(9, 2))))


@pytest.fixture
def rng():
    return np.random.default_rng(0)
