"""Sets of images on disk, of any size, for the stand-alone metrics."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ebm_jax.data.decoding import decode_image
from ebm_jax.data.sources.folder import SUFFIXES
from ebm_jax.errors import DataError
from ebm_jax.evaluation.inception.network import SIDE
from ebm_jax.evaluation.inception.resizing import resize

_CHUNK = 256


class ImageFiles(NamedTuple):
    """A set of images.

    Attributes:
      name: its path.
      count: images.
      chunks: () → iterator of what an Extractor takes.
    """

    name: str
    count: int
    chunks: Callable[[], Iterator[np.ndarray]]


def open_images(path: str | Path, mode: str) -> ImageFiles | None:
    """A folder of images, or the `images` of an .npz file; None for an .npz without images.

    Args:
      path: the folder, with sub-folders, or the file.
      mode: how images of several sizes are resized (clean | legacy).

    Raises:
      DataError: nothing there, no images in it, or unreadable ones.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return _folder(path, mode)
    if not path.is_file():
        raise DataError(f"there is no '{path}'; give a folder of images or an .npz file.")
    if not zipfile.is_zipfile(path):
        raise DataError(
            f"'{path}' is no .npz file (or a part of one); give a folder of images, or an .npz of "
            "uint8 `images` or of statistics."
        )
    try:
        with np.load(path, allow_pickle=False) as file:
            images = file["images"] if "images" in file.files else None
    except Exception as error:  # np.load raises anything from BadZipFile to ValueError
        raise DataError(
            f"'{path}' cannot be read as an .npz file ({error}); give a folder of images, or an "
            ".npz of uint8 `images` or of statistics."
        ) from error
    return None if images is None else _array(str(path), images)


def _array(name, images):
    images = images[..., None] if images.ndim == 3 else images
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise DataError(
            f"'{name}' has `images` of dtype {images.dtype} and shape {images.shape}; store uint8 "
            "[N, H, W, 1 or 3], 0 to 255."
        )

    def chunks():
        for start in range(0, len(images), _CHUNK):
            yield images[start : start + _CHUNK]

    return ImageFiles(name, len(images), chunks)


def _folder(path, mode):
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".")
    )
    if not files:
        raise DataError(
            f"'{path}' has no images; put files there that end in {', '.join(SUFFIXES)}."
        )

    def chunks():
        for start in range(0, len(files), _CHUNK):
            images = [_decode(file) for file in files[start : start + _CHUNK]]
            if len({image.shape for image in images}) > 1:  # each shape would be compiled for
                images = [resize(image, SIDE, mode) for image in images]
            yield np.stack(images)

    return ImageFiles(str(path), len(files), chunks)


def _decode(file):
    try:
        return decode_image(file.read_bytes(), channels=3)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and its own
        raise DataError(
            f"the image '{file}' cannot be read ({error}); mend or remove it."
        ) from error
