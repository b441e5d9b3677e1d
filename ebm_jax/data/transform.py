"""Crop, resize and the map between bytes and floats."""

import numpy as np
from PIL import Image

from ebm_jax.errors import ConfigError, DataError


def transform_image(image: np.ndarray, image_size: int, channels: int, crop: int = 0) -> np.ndarray:
    """Crops the centre square and resizes it.

    The resize is Pillow's bicubic filter, which widens with the scale when it shrinks an image
    and so does not alias. A crop that has the right size already keeps its exact pixels.

    Args:
      image: uint8 [h, w, c].
      image_size: side of the result in pixels.
      channels: channels the image must have; none are added or dropped.
      crop: side of the square that is cut out; 0 = the shorter side.

    Returns:
      uint8 [image_size, image_size, channels].

    Raises:
      DataError: wrong dtype, wrong shape, or a crop larger than the image.
    """
    if image.dtype != np.uint8 or image.ndim != 3:
        raise DataError(
            f"An image has dtype {image.dtype} and shape {image.shape}: it must be uint8 "
            "[height, width, channels]."
        )
    if image.shape[2] != channels:
        raise DataError(
            f"The images have {image.shape[2]} channels and data.channels is {channels}: set "
            f"data.channels={image.shape[2]}, or convert the images."
        )
    square = centre_crop(image, crop)
    return square if square.shape[0] == image_size else _resize(square, image_size)


def centre_crop(images: np.ndarray, crop: int = 0) -> np.ndarray:
    """Cuts the centre square out of images of one size, without a copy.

    Args:
      images: [..., h, w, c].
      crop: side of the square; 0 = the shorter side.

    Returns:
      View [..., crop, crop, c]. An odd margin leaves its extra pixel at the bottom and right.

    Raises:
      DataError: the crop is larger than the images.
    """
    height, width = images.shape[-3:-1]
    side = crop or min(height, width)
    if side > min(height, width):
        raise DataError(
            f"data.crop is {crop} pixels and an image is {height} high and {width} wide: set "
            f"data.crop to at most {min(height, width)}, or to 0 for the shorter side."
        )
    top, left = (height - side) // 2, (width - side) // 2
    return images[..., top : top + side, left : left + side, :]


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape[2] == 3:
        resized = Image.fromarray(np.ascontiguousarray(image)).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        return np.asarray(resized)
    # Channel by channel: Pillow's RGBA resize would weight the colours by alpha.
    planes = [
        Image.fromarray(np.ascontiguousarray(image[..., c])).resize(
            (size, size), Image.Resampling.BICUBIC
        )
        for c in range(image.shape[2])
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=-1)


def to_float(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Maps bytes to floats.

    Args:
      images: uint8, any shape.
      value_range: (low, high), the values of 0 and 255.

    Returns:
      float32 of the same shape, in [low, high].

    Raises:
      ConfigError: low is not below high.
    """
    low, high = _check_range(value_range)
    return np.linspace(low, high, 256).astype(np.float32)[images]


def to_uint8(images: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    """Inverse of `to_float`: clips to the range and rounds to the nearest byte.

    Args:
      images: floats, any shape.
      value_range: (low, high), the values of 0 and 255.

    Returns:
      uint8 of the same shape.

    Raises:
      ConfigError: low is not below high.
    """
    low, high = _check_range(value_range)
    scaled = (np.asarray(images, np.float32) - low) * (255.0 / (high - low))
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)


def _check_range(value_range) -> tuple[float, float]:
    low, high = value_range
    if not low < high:
        raise ConfigError(
            f"data.range is {tuple(value_range)}: its first value must be below its second."
        )
    return float(low), float(high)
