"""Energy distance between two sets of points (Székely and Rizzo, 2013)."""

import numpy as np
from scipy.spatial.distance import cdist, pdist


def energy_distance(one: np.ndarray, other: np.ndarray) -> float:
    """2 E‖X − Y‖ − E‖X − X'‖ − E‖Y − Y'‖, without bias.

    Args:
      one: [N, D].
      other: [M, D]; N and M at least 2.

    Returns:
      0 in expectation for equal distributions, positive for others; the unit is that of the points.
    """
    return float(2 * cdist(one, other).mean() - pdist(one).mean() - pdist(other).mean())
