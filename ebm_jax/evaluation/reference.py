"""Inception statistics of training images, computed once and then read from the cache."""

import hashlib
import io
import math
import re
import warnings
from typing import Any

import numpy as np

from ebm_jax import parallel
from ebm_jax.cache import cache_root
from ebm_jax.errors import DataError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.frechet import moments_of_chunks
from ebm_jax.evaluation.inception import Extractor
from ebm_jax.evaluation.statistics import Statistics, read_statistics, write_statistics

KEPT_ROWS = 10_000  # features kept beside the moments, for KID, precision and recall
_DIGESTED = 100_000  # images behind the digest: beyond that, decoding them all would take hours
VERSION = 2  # part of the digest: raise it whenever the features would change


def reference_of(
    context: Context, extractor: Extractor, features: str, limit: int | None = None
) -> Statistics:
    """Statistics of the context's training images, in a random order that is always the same.

    The file's name carries a digest of the images, the weights and the resize mode.

    Args:
      context: its training images; an interrupted extraction goes on where it stopped.
      extractor: the network.
      features: the tap.
      limit: images; None takes all.

    Returns:
      Moments, and the features of up to KEPT_ROWS images.
    """
    dataset = context.train_set
    order = np.random.default_rng(0).permutation(dataset.num_examples)[:limit]
    size = context.config.eval.batch_size
    digest = _digest(dataset, order, size, extractor, features)
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", dataset.name).strip("._")[:80] or "unnamed"
    path = cache_root() / "reference" / f"{stem}-{features}-{extractor.resize}-{digest}.npz"
    # Only process 0's cache counts: all must take the same way.
    content = shards.from_primary(path)
    if content:
        try:
            return read_statistics(io.BytesIO(content))
        except DataError as error:
            warnings.warn(f"{error} The reference '{path}' is computed again.", stacklevel=2)
    kept: list[np.ndarray] = []

    def make(k):
        context.poll()
        images, _ = dataset.fetch(order[k * size : (k + 1) * size])
        return {"features": extractor(images)[features]}

    def rows():
        folder = shards.folder_of(context, "fid", "reference")
        for chunk in shards.resumable(
            folder, f"{digest}/{size}", math.ceil(len(order) / size), make
        ):
            kept.append(chunk["features"][: max(KEPT_ROWS - sum(map(len, kept)), 0)])
            yield chunk["features"]

    moments = moments_of_chunks(rows())
    found = Statistics(moments, np.concatenate(kept))
    try:
        if parallel.is_primary():
            write_statistics(path, found)
    except OSError as error:
        warnings.warn(f"The reference cannot be cached ({error}).", stacklevel=2)
    return found


def _digest(dataset: Any, order: np.ndarray, size: int, extractor: Extractor, features: str) -> str:
    told = (VERSION, dataset.name, dataset.split, len(order), features, extractor.resize)
    told += (tuple(dataset.image_shape),)
    digest = hashlib.sha256(repr((told, extractor.fingerprint)).encode())
    for start in range(0, min(len(order), _DIGESTED), size):
        images, _ = dataset.fetch(order[start : start + size])
        digest.update(np.ascontiguousarray(images))
    return digest.hexdigest()[:16]
