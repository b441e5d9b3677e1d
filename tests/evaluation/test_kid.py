"""KID against double sums and closed forms."""

import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import kid as module
from ebm_jax.evaluation.kid import kid, polynomial_mmd


def by_definition(x, y):
    def k(a, b):
        return (a @ b / len(a) + 1) ** 3

    def within(z):
        n = len(z)
        return sum(k(z[i], z[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))

    return within(x) + within(y) - 2 * np.mean([[k(a, b) for b in y] for a in x])


@pytest.mark.parametrize("rows", [1, 4, 1024])
def test_double_sum(monkeypatch, rows):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", rows)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(9, 5)), rng.normal(size=(6, 5)) + 0.3
    assert polynomial_mmd(x, y) == pytest.approx(by_definition(x, y), rel=1e-10)
    assert polynomial_mmd(y, x) == pytest.approx(by_definition(x, y), rel=1e-10)


def test_shifted_gaussian():
    """In one dimension MMD² = (Δm₃)² + 3 (Δm₂)² + 3 (Δm₁)², with mᵢ the raw moments."""
    rng = np.random.default_rng(0)
    m = 1.0
    x, y = rng.normal(size=(8000, 1)), rng.normal(size=(8000, 1)) + m
    expected = (m**3 + 3 * m) ** 2 + 3 * m**4 + 3 * m**2
    assert polynomial_mmd(x, y) == pytest.approx(expected, rel=0.05)


def test_unbiased_for_few_samples():
    """Two samples of 10 from one distribution: zero on average, often negative."""
    rng = np.random.default_rng(0)
    found = np.array([polynomial_mmd(*rng.normal(size=(2, 10, 4))) for _ in range(2000)])
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean()) < 4 * error
    assert 0.3 < np.mean(found < 0) < 0.8


def test_subsets():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(300, 4)), rng.normal(size=(200, 4)) + 1
    found = kid(x, y, subsets=50, subset_size=60)
    assert found.std > 0
    assert found.mean == pytest.approx(polynomial_mmd(x, y), abs=4 * found.std / np.sqrt(50))
    assert found == kid(x, y, subsets=50, subset_size=60)
    assert found != kid(x, y, subsets=50, subset_size=60, seed=1)


def test_small_sets_are_compared_as_a_whole():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    for size in (None, 20, 1000):
        assert kid(x, y, subset_size=size) == (polynomial_mmd(x, y), None)


def test_bad_input():
    rng = np.random.default_rng(0)
    with pytest.raises(ConfigError, match="at least 2 samples of each set, but got 1 and 5"):
        polynomial_mmd(rng.normal(size=(1, 3)), rng.normal(size=(5, 3)))
    with pytest.raises(ConfigError, match="of one network"):
        polynomial_mmd(rng.normal(size=(5, 3)), rng.normal(size=(5, 4)))
    with pytest.raises(ConfigError, match="over 0 subsets"):
        kid(rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), subsets=0)
