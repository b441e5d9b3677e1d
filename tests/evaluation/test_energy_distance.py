"""Energy distance against its closed form for normal distributions on a line."""

import numpy as np
import pytest
from scipy.stats import norm

from ebm_jax.evaluation.energy_distance import energy_distance


def mean_distance(shift, std):
    """E|D| of D ~ N(shift, std²)."""
    return std * np.sqrt(2 / np.pi) * np.exp(-((shift / std) ** 2) / 2) + shift * (
        1 - 2 * norm.cdf(-shift / std)
    )


@pytest.mark.parametrize("shift, std", [(0.0, 1.0), (1.5, 1.0), (0.5, 2.0)])
def test_two_normal_distributions(shift, std):
    one, other = (norm.ppf((np.arange(n) + 0.5) / n)[:, None] for n in (3000, 2500))
    other = shift + std * other
    expected = (
        2 * mean_distance(shift, np.hypot(1, std))
        - mean_distance(0, np.sqrt(2))
        - mean_distance(0, std * np.sqrt(2))
    )
    assert energy_distance(one, other) == pytest.approx(expected, abs=5e-3)


def test_hand_counted():
    one, other = np.array([[0.0, 0.0], [3.0, 4.0]]), np.array([[0.0, 0.0], [0.0, 0.0]])
    assert energy_distance(one, other) == pytest.approx(2 * 2.5 - 5.0 - 0.0)
