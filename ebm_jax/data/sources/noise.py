"""Uniform noise, `noise`: what is certainly out of distribution."""

import numpy as np

from ebm_jax.data.sources.base import Source
from ebm_jax.errors import DataError

NUM_EXAMPLES = 10_000
SPLITS = ("train", "test")


def open_noise(split: str, shape: tuple[int, int, int]) -> Source:
    """Opens 10 000 images of independent grey values, uniform on 0 … 255; always the same ones.

    Args:
      split: `train` or `test`.
      shape: (H, W, C) of the images.

    Returns:
      Source of uint8 [H, W, C] images without labels.

    Raises:
      DataError: the split has another name.
    """
    if split not in SPLITS:
        raise DataError(f"noise has the splits train and test, not {split!r}: use one of these.")

    def image(index):
        rng = np.random.default_rng((SPLITS.index(split), int(index)))
        return rng.integers(256, size=shape, dtype=np.uint8)

    def unlabelled(indices):
        return np.full(len(indices), -1, np.int32)

    return Source(
        name="noise",
        split=split,
        num_examples=NUM_EXAMPLES,
        num_classes=0,
        read=lambda indices: ([image(i) for i in indices], unlabelled(indices)),
        read_labels=unlabelled,
        describe=lambda i: f"example {i} of noise {split}",
    )
