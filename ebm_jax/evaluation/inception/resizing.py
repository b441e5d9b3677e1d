"""Images to the network's 299 × 299: both modes are one matrix per axis."""

import functools

import numpy as np
from PIL import Image

from ebm_jax.errors import ConfigError

MODES = {
    "clean": "PIL bicubic to 299, antialiased, in float, clipped",
    "legacy": "bilinear inside the network (TF1: no half-pixel centres, no antialiasing)",
}


def check_resize(mode: str) -> None:
    """Raises ConfigError unless `mode` is a key of MODES."""
    if mode not in MODES:
        raise ConfigError(f"the resize mode is '{mode}'; use one of: {', '.join(MODES)}.")


@functools.cache
def resize_matrix(size: int, target: int, mode: str) -> np.ndarray:
    """The linear map that a mode applies along one axis.

    `clean` is Pillow's bicubic filter on float channels (Parmar, Zhang & Zhu 2022), whose weights
    are read off by resizing unit vectors. Like there, results are clipped to [0, 255] afterwards
    and not rounded.

    `legacy` is ResizeBilinear with align_corners=False of TensorFlow 1, as the 2015 graph has it:
    output i reads input i · size / target. PyTorch's F.interpolate, and with it pytorch-fid, reads
    (i + ½) · size / target − ½ and so differs by a shift.

    Args:
      size: pixels of the image.
      target: pixels wanted.
      mode: key of MODES.

    Returns:
      float32 [target, size]; rows sum to 1.

    Raises:
      ConfigError: unknown mode.
    """
    check_resize(mode)
    if size == target:
        return np.eye(size, dtype=np.float32)
    if mode == "clean":
        units = Image.fromarray(np.eye(size, dtype=np.float32))  # mode "F": column j is e_j
        return np.asarray(units.resize((size, target), Image.Resampling.BICUBIC))
    places = np.arange(target, dtype=np.float32) * (np.float32(size) / np.float32(target))
    below = places.astype(np.int64)
    above = np.minimum(below + 1, size - 1)
    weight = places - below.astype(np.float32)
    matrix = np.zeros((target, size), np.float32)
    matrix[np.arange(target), below] += 1 - weight
    matrix[np.arange(target), above] += weight
    return matrix


def resize(image: np.ndarray, target: int, mode: str) -> np.ndarray:
    """One image on the host, where images of many sizes would each be compiled for.

    Args:
      image: uint8 [H, W, C].
      target: side wanted.
      mode: key of MODES.

    Returns:
      float32 [target, target, C] in [0, 255].
    """
    rows, columns = (resize_matrix(size, target, mode) for size in image.shape[:2])
    x = np.einsum("hwc,qw->hqc", image.astype(np.float32), columns, optimize=True)
    return np.clip(np.einsum("hqc,ph->pqc", x, rows, optimize=True), 0, 255)
