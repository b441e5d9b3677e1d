"""Reads examples of a source into one array: decode, transform, threads, memory."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ebm_jax.data.decoding import decode_image
from ebm_jax.data.sources.base import RawImage, Source
from ebm_jax.data.transform import transform_image
from ebm_jax.errors import DataError

Examples = tuple[np.ndarray, np.ndarray]  # images uint8 [n, H, W, C], labels int32 [n]

_MAX_CHUNK = 256
# Below this many bytes Pillow holds the interpreter lock for most of a decode: two threads
# read MNIST no faster than one.
_THREADS_FROM = 48 * 48
_MAX_THREADS = 16


def prepare_image(
    source: Source, raw: RawImage, i: int, image_size: int, channels: int, crop: int
) -> np.ndarray:
    """Decodes and transforms one raw image.

    Args:
      source: where it comes from.
      raw: an encoded file or pixels.
      i: its index, for the error.
      image_size: side of the result.
      channels: channels of the result.
      crop: side of the centre crop; 0 = the shorter side.

    Returns:
      uint8 [image_size, image_size, channels].

    Raises:
      DataError: it cannot be decoded or has the wrong shape; the message names the example.
    """
    try:
        image = decode_image(raw, source.channels) if isinstance(raw, bytes) else raw
        return transform_image(image, image_size, channels, crop)
    except DataError as error:
        raise DataError(f"{source.describe(i)}: {error}") from error
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and its own
        raise DataError(
            f"{source.describe(i)} cannot be decoded as an image ({error}): repair or remove it."
        ) from error


def load_examples(
    source: Source, indices: np.ndarray, image_size: int, channels: int, crop: int
) -> Examples:
    """Reads, decodes and transforms examples, in threads where those help.

    Args:
      source: where they come from.
      indices: int64 [n].
      image_size: side of the images.
      channels: channels of the images.
      crop: side of the centre crop; 0 = the shorter side.

    Returns:
      (images uint8 [n, image_size, image_size, channels], labels int32 [n]).

    Raises:
      DataError: one of them cannot be read; the message names it.
    """
    indices = np.asarray(indices, np.int64)
    n = len(indices)
    images = np.empty((n, image_size, image_size, channels), np.uint8)
    labels = np.empty(n, np.int32)
    threads = 1
    if image_size * image_size * channels >= _THREADS_FROM:
        threads = min(os.cpu_count() or 1, _MAX_THREADS)
    chunk = max(1, min(_MAX_CHUNK, -(-n // (2 * threads))))

    def work(start: int) -> None:
        part = indices[start : start + chunk]
        raws, labels[start : start + chunk] = source.read(part)
        for j, (i, raw) in enumerate(zip(part, raws, strict=True), start):
            images[j] = prepare_image(source, raw, int(i), image_size, channels, crop)

    starts = range(0, n, chunk)
    if threads == 1:
        for start in starts:
            work(start)
        return images, labels
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, start) for start in starts]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return images, labels


def in_memory(load: Callable[[], Examples]) -> Callable[[], Examples]:
    """Calls `load` once, at the first use, whichever thread that is in.

    Args:
      load: () -> (images, labels).

    Returns:
      () -> the same (images, labels) each time.
    """
    lock, kept = threading.Lock(), []

    def examples() -> Examples:
        with lock:
            if not kept:
                kept.append(load())
        return kept[0]

    return examples
