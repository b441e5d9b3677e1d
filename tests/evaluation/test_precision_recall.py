"""Precision and recall: by hand, by brute force, and what they are for."""

import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import precision_recall as module
from ebm_jax.evaluation.precision_recall import precision_recall


def test_by_hand():
    """With four points each, k = 3 reaches to the farthest: radii 3, 2, 2, 3 around the real."""
    real = np.array([[0.0], [1.0], [2.0], [3.0]])
    samples = np.array([[-2.9], [1.5], [6.1], [10.0]])
    assert precision_recall(real, samples) == (0.5, 1.0)
    assert precision_recall(samples, real) == (1.0, 0.5)


@pytest.mark.parametrize("rows", [1, 7, 512])
@pytest.mark.parametrize("neighbours", [1, 3])
def test_by_brute_force(monkeypatch, rows, neighbours):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", rows)
    rng = np.random.default_rng(0)
    real, samples = rng.normal(size=(40, 3)), rng.normal(size=(30, 3)) * 1.5 + 1.5

    def covered(points, centres):
        radii = [np.sort(np.linalg.norm(centres - c, axis=1))[neighbours] for c in centres]
        distances = np.linalg.norm(points[:, None] - centres[None], axis=2)
        return np.mean((distances <= np.array(radii)[None]).any(axis=1))

    expected = covered(samples, real), covered(real, samples)
    assert 0 < min(expected) < max(expected) < 1
    assert precision_recall(real, samples, neighbours) == pytest.approx(expected, abs=1e-12)


def test_what_they_tell_apart():
    """Four modes: a lost mode costs recall alone, samples off the modes precision alone."""
    rng = np.random.default_rng(0)
    centres = 100.0 * np.eye(4)

    def draw(modes, count=400):
        return centres[rng.integers(0, modes, count)] + rng.normal(size=(count, 4))

    real = draw(4)
    same, dropped = precision_recall(real, draw(4)), precision_recall(real, draw(2))
    noisy = np.concatenate([draw(4), 1000 + rng.normal(size=(400, 4))])
    assert min(same) > 0.9
    assert dropped.precision > 0.9 and 0.4 < dropped.recall < 0.6
    assert 0.4 < precision_recall(real, noisy).precision < 0.6
    assert precision_recall(real, noisy).recall > 0.9
    assert precision_recall(real, real + 1e5) == (0.0, 0.0)
    assert precision_recall(real, real) == (1.0, 1.0)


def test_bad_input():
    with pytest.raises(ConfigError, match="3 neighbours need more samples .* got 3 and 9"):
        precision_recall(np.zeros((3, 2)), np.zeros((9, 2)))
    with pytest.raises(ConfigError, match="of one network"):
        precision_recall(np.zeros((9, 2)), np.zeros((9, 3)))
