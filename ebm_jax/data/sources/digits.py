"""scikit-learn's 8×8 handwritten digits: real data that needs no download."""

import numpy as np

from ebm_jax.data.sources.base import Source, array_source, holdout_indices


def open_digits(split: str) -> Source:
    """Opens the 1 797 digits; every fifth (i % 5 == 4) is `test`, the others are `train`.

    Args:
      split: `train` (1 438 examples) or `test` (359).

    Returns:
      Source of uint8 [8, 8, 1] images (the original 0..16 mapped to 0..255), 10 classes.

    Raises:
      DataError: the split has another name.
    """
    from sklearn.datasets import load_digits  # costs a second: only when asked for

    digits = load_digits()
    indices = holdout_indices("digits", split, len(digits.images), every=5)
    images = np.rint(digits.images[indices] * (255.0 / 16.0)).astype(np.uint8)[..., None]
    return array_source("digits", split, images, digits.target[indices], num_classes=10)
