"""Chunks of one size, so that what works on them is compiled once."""

import numpy as np


def padded(start: int, size: int, count: int) -> np.ndarray:
    """start … start + size − 1, int [size]; what is not below `count` is count − 1 instead."""
    return np.minimum(np.arange(start, start + size), count - 1)
