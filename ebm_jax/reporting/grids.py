"""Image grids as uint8 pixels, and PNG files of them."""

import io
import math
import os
from pathlib import Path

import numpy as np
from PIL import Image

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.files import write_bytes

BACKGROUND = 232  # light grey: neither a black nor a white image runs into its neighbour
NOT_A_NUMBER = (255, 0, 255)  # magenta, so that a diverged sample is seen and not taken for black
MIN_SIDE = 48


def to_uint8(images: np.ndarray, value_range: tuple[float, float] = (-1.0, 1.0)) -> np.ndarray:
    """Maps a stated range to bytes; values outside are clipped, never stretched.

    Args:
      images: [N, H, W, C] floats, C in {1, 3}.
      value_range: the values drawn black and white.

    Returns:
      [N, H, W, 3] uint8; pixels with a NaN are magenta.

    Raises:
      ConfigError: wrong shape, type or range.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise ConfigError(
            f"Images to draw have shape {images.shape}; they must be [N, H, W, C] with C 1 or 3 "
            "and no empty axis."
        )
    if images.dtype.kind in "biu":
        raise ConfigError(
            f"Images to draw have dtype {images.dtype}; pass floats in value_range={value_range}."
        )
    low, high = value_range
    if not low < high:
        raise ConfigError(f"value_range is {value_range}; it must be (low, high) with low < high.")
    images = images.astype(np.float32)
    invalid = np.isnan(images).any(-1)  # [N, H, W]
    unit = np.clip((np.nan_to_num(images, nan=low) - low) / (high - low), 0.0, 1.0)
    pixels = np.rint(unit * 255).astype(np.uint8)
    pixels = np.array(np.broadcast_to(pixels, (*pixels.shape[:-1], 3)))
    pixels[invalid] = NOT_A_NUMBER
    return pixels  # [N, H, W, 3]


def _enlarge(pixels: np.ndarray, scale: int | None) -> np.ndarray:
    """Nearest neighbour by a whole factor: by `scale`, or until the short side has MIN_SIDE."""
    if scale is None:
        scale = math.ceil(MIN_SIDE / min(pixels.shape[1:3]))
    if scale < 1 or scale != int(scale):
        raise ConfigError(f"scale is {scale}; it must be a whole number of at least 1.")
    return pixels.repeat(int(scale), axis=1).repeat(int(scale), axis=2)


def _tile(rows: list[np.ndarray], gaps: list[int], pad: int) -> np.ndarray:
    """Lays out rows of images [n_i, h, w, 3]; gaps[i] is the space above row i, in pixels."""
    _, height, width, _ = rows[0].shape
    columns = max(len(row) for row in rows)
    canvas = np.full(
        (sum(gaps) + len(rows) * height + pad, columns * (width + pad) + pad, 3),
        BACKGROUND,
        np.uint8,
    )
    top = 0
    for row, gap in zip(rows, gaps, strict=True):
        top += gap
        for column, image in enumerate(row):
            left = pad + column * (width + pad)
            canvas[top : top + height, left : left + width] = image
        top += height
    return canvas  # [H, W, 3]


def _check_layout(pad: int, columns: int | None) -> None:
    if pad < 0:
        raise ConfigError(f"pad is {pad}; the gap between images must be at least 0 pixels.")
    if columns is not None and columns < 1:
        raise ConfigError(f"columns is {columns}; a grid needs at least 1.")


def image_grid(
    images: np.ndarray,
    columns: int | None = None,
    pad: int = 4,
    scale: int | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> np.ndarray:
    """Images in reading order on a light background.

    Args:
      images: [N, H, W, C] floats in `value_range`, C in {1, 3}.
      columns: images per row; a near-square grid by default.
      pad: pixels between images and around the grid.
      scale: whole enlargement factor; by default the least that gives each side 48 pixels.
      value_range: the values drawn black and white; others are clipped to it.

    Returns:
      [H', W', 3] uint8; places after the last image are background.

    Raises:
      ConfigError: an argument is out of range.
    """
    _check_layout(pad, columns)
    pixels = _enlarge(to_uint8(images, value_range), scale)
    columns = min(columns or math.ceil(math.sqrt(len(pixels))), len(pixels))
    rows = [pixels[start : start + columns] for start in range(0, len(pixels), columns)]
    return _tile(rows, [pad] * len(rows), pad)


def pair_grid(
    originals: np.ndarray,
    reconstructions: np.ndarray,
    columns: int | None = None,
    pad: int = 4,
    scale: int | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> np.ndarray:
    """Originals right above their reconstructions; a wider gap parts the rows of pairs.

    Args:
      originals: [N, H, W, C] floats in `value_range`.
      reconstructions: the same shape, in the same order.
      columns: pairs per row; at most 8 by default.
      pad, scale, value_range: as in `image_grid`.

    Returns:
      [H', W', 3] uint8.

    Raises:
      ConfigError: the shapes differ, or an argument is out of range.
    """
    _check_layout(pad, columns)
    if np.shape(originals) != np.shape(reconstructions):
        raise ConfigError(
            f"Originals have shape {np.shape(originals)} and reconstructions "
            f"{np.shape(reconstructions)}; a grid of pairs needs the same shape."
        )
    above = _enlarge(to_uint8(originals, value_range), scale)
    below = _enlarge(to_uint8(reconstructions, value_range), scale)
    columns = min(columns or 8, len(above))
    rows, gaps = [], []
    for start in range(0, len(above), columns):
        rows += [above[start : start + columns], below[start : start + columns]]
        gaps += [4 * pad if start else pad, pad]
    return _tile(rows, gaps, pad)


def strip(
    chains: np.ndarray,
    pad: int = 4,
    scale: int | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> np.ndarray:
    """Sampling chains as film strips: one row per chain, one column per kept step.

    Args:
      chains: [chains, steps, H, W, C] floats in `value_range`.
      pad, scale, value_range: as in `image_grid`.

    Returns:
      [H', W', 3] uint8.

    Raises:
      ConfigError: an argument is out of range.
    """
    chains = np.asarray(chains)
    if chains.ndim != 5:
        raise ConfigError(
            f"Chains to draw have shape {chains.shape}; they must be [chains, steps, H, W, C]."
        )
    images = chains.reshape(-1, *chains.shape[2:])
    return image_grid(images, max(chains.shape[1], 1), pad, scale, value_range)


def png_bytes(pixels: np.ndarray) -> bytes:
    """Encodes [H, W, 3] uint8 pixels, or [H, W] grey ones, as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels, np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def save_png(path: str | os.PathLike, pixels: np.ndarray) -> Path:
    """Writes pixels that `png_bytes` takes, as any grid here returns them, to a PNG atomically."""
    return write_bytes(path, png_bytes(pixels))


def save_grid(
    path: str | os.PathLike,
    images: np.ndarray,
    columns: int | None = None,
    pad: int = 4,
    scale: int | None = None,
    value_range: tuple[float, float] = (-1.0, 1.0),
) -> Path:
    """`image_grid` written to a PNG atomically; returns the path."""
    return save_png(path, image_grid(images, columns, pad, scale, value_range))
