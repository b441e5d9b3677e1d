"""Files of reference statistics, ours and others'."""

import numpy as np
import pytest

from ebm_jax.errors import DataError
from ebm_jax.evaluation.frechet import moments
from ebm_jax.evaluation.statistics import Statistics, read_statistics, write_statistics


@pytest.fixture
def fit():
    return moments(np.random.default_rng(0).normal(size=(50, 6)))


def test_what_is_written_is_read(fit, tmp_path):
    rows = np.ones((4, 6), np.float32)
    path = write_statistics(tmp_path / "new" / "s.npz", Statistics(fit, rows))
    found = read_statistics(path)
    np.testing.assert_array_equal(found.moments.mean, fit.mean)
    np.testing.assert_array_equal(found.moments.covariance, fit.covariance)
    np.testing.assert_array_equal(found.features, rows)
    assert found.moments.count == 50
    with np.load(path) as file:  # the names that every implementation knows
        assert {"mu", "sigma", "n"} <= set(file.files)


def test_others_files_have_no_count(fit, tmp_path):
    np.savez(tmp_path / "s.npz", mu=fit.mean.astype(np.float32), sigma=fit.covariance)
    found = read_statistics(tmp_path / "s.npz")
    assert found.moments.count == 0 and found.features is None
    assert found.moments.mean.dtype == np.float64


@pytest.mark.parametrize(
    "arrays, message",
    [
        (dict(mu=np.zeros(3)), "neither `images` nor `mu` and `sigma`, but mu"),
        (dict(mu=np.zeros(3), sigma=np.eye(4)), "sigma of shape .4, 4."),
        (dict(mu=np.zeros((1, 3)), sigma=np.eye(3)), "mu of shape .1, 3."),
        (dict(mu=np.zeros(3, int), sigma=np.eye(3)), "must be floats"),
        (dict(mu=np.full(3, np.nan), sigma=np.eye(3)), "hold NaN"),
        (dict(mu=np.zeros(2), sigma=np.array([[1, 0.5], [0.4, 1]])), "sigma that is not symmetric"),
        (dict(mu=np.zeros(2), sigma=np.array([[1.0, 2], [2, 1]])), "negative eigenvalues"),
        (dict(mu=np.zeros(3), sigma=np.eye(3), n=np.nan), "has n = nan; it must be a whole number"),
        (dict(mu=np.zeros(3), sigma=np.eye(3), n="many"), "has n = many; it must be"),
        (dict(mu=np.zeros(3), sigma=np.eye(3), n=[5, 6]), "it must be a whole number, or absent"),
        (dict(mu=np.zeros(3), sigma=np.eye(3), n=-1), "has n = -1"),
    ],
)
def test_something_else(tmp_path, arrays, message):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_statistics(tmp_path / "s.npz")


def test_damaged(tmp_path, fit):
    path = write_statistics(tmp_path / "s.npz", Statistics(fit))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match="cannot be read"):
        read_statistics(path)
