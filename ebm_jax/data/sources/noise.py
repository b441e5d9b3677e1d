"""Uniform noise, `noise`: what is certainly out of distribution."""

import numpy as np

from ebm_jax.data.sources.base import Source, check_split, unlabelled

NUM_EXAMPLES = 10_000


def open_noise(split: str, shape: tuple[int, int, int]) -> Source:
    """Opens 10 000 images of independent pixel values, uniform on 0 … 255.

    Image i of a split is always the same (NumPy's generator with the split and i as its seed).

    Args:
      split: `train` or `test`.
      shape: (H, W, C) of the images.

    Returns:
      Source of uint8 [H, W, C] images without labels.

    Raises:
      DataError: the split has another name.
    """
    check_split("noise", split)

    def image(index):
        rng = np.random.default_rng((split == "test", int(index)))
        return rng.integers(256, size=shape, dtype=np.uint8)

    return Source(
        name="noise",
        split=split,
        num_examples=NUM_EXAMPLES,
        num_classes=0,
        read=lambda indices: ([image(i) for i in indices], unlabelled(indices)),
        read_labels=unlabelled,
        describe=lambda i: f"example {i} of noise {split}",
    )
