"""Images in a NumPy archive: `npz:PATH`."""

from pathlib import Path

import numpy as np

from ebm_jax.data.sources.base import Source, array_source, holdout_indices
from ebm_jax.errors import DataError


def open_npz(path: str, split: str) -> Source:
    """Opens an archive with `images` (uint8 [N, H, W, C] or [N, H, W]) and, if any, `labels` [N].

    The split is the array `images_SPLIT` (with `labels_SPLIT`) where the archive has it.
    Beside an `images_test`, `images` is wholly the train split. An archive with `images` alone
    has every tenth example (i % 10 == 9) as `test` and the others as `train`.

    Args:
      path: the archive.
      split: name of the split.

    Returns:
      Source of uint8 [H, W, C] images.

    Raises:
      DataError: the archive is missing, unreadable, or holds something else.
    """
    name = f"npz:{path}"
    if not Path(path).is_file():
        raise DataError(f"There is no file {path!r}: set data.name to npz:PATH of an archive.")
    try:
        with np.load(path, allow_pickle=False) as archive:
            keys = list(archive.files)
            suffix, hold_out = _choose(name, keys, split)
            images = archive["images" + suffix]
            labels = archive["labels" + suffix] if "labels" + suffix in keys else None
    except DataError:
        raise
    except Exception as error:  # np.load raises anything from BadZipFile to ValueError
        raise DataError(
            f"{path!r} cannot be read as a NumPy archive ({error}): write it with "
            "np.savez(PATH, images=..., labels=...)."
        ) from error
    _check(name, "images" + suffix, images, "labels" + suffix, labels)
    images = images if images.ndim == 4 else images[..., None]
    num_classes = 0 if labels is None or not len(labels) else int(labels.max()) + 1
    if hold_out:
        indices = holdout_indices(name, split, len(images), every=10)
        images = images[indices]
        labels = None if labels is None else labels[indices]
    return array_source(name, split, images, labels, num_classes)


def _choose(name: str, keys: list[str], split: str) -> tuple[str, bool]:
    """Returns the suffix of the split's arrays and whether to hold examples out of them."""
    if f"images_{split}" in keys:
        return f"_{split}", False
    if "images" not in keys:
        raise DataError(
            f"{name} has no array `images` or `images_{split}` but {', '.join(sorted(keys))}: "
            "store uint8 images [N, H, W, C] under one of these names."
        )
    return "", not (split == "train" and "images_test" in keys)


def _check(name, images_key, images, labels_key, labels) -> None:
    """Raises a DataError unless the arrays are of the right types and shapes."""
    if images.dtype != np.uint8:
        raise DataError(
            f"{name} has `{images_key}` of dtype {images.dtype}: store them as uint8, 0 to 255."
        )
    if images.ndim not in (3, 4):
        raise DataError(
            f"{name} has `{images_key}` of shape {images.shape}: store them as [N, H, W, C] or "
            "[N, H, W]."
        )
    if labels is None:
        return
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1]:
        raise DataError(
            f"{name} has `{labels_key}` of dtype {labels.dtype} and shape {labels.shape}: store "
            f"integers of shape {images.shape[:1]}, one for every image."
        )
