"""Images in a folder: `folder:PATH`."""

from pathlib import Path

import numpy as np

from ebm_jax.data.sources.base import Source, holdout_indices
from ebm_jax.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
SPLIT_FOLDERS = ("train", "test", "validation", "val")


def open_folder(path: str, split: str) -> Source:
    """Opens images that lie flat in a folder (unlabelled) or in one sub-folder per class.

    Files are sorted by name, classes too; class c is the c-th sub-folder. The split is the
    sub-folder of that name where PATH has it. A folder without such sub-folders has every tenth
    file of the sorted list (i % 10 == 9) as `test` and the others as `train`.

    Args:
      path: the folder.
      split: name of the split.

    Returns:
      Source of encoded images.

    Raises:
      DataError: the folder is missing, empty, has no such split, or mixes both layouts.
    """
    name, root = f"folder:{path}", Path(path)
    if not root.is_dir():
        raise DataError(f"There is no folder {path!r}: set data.name to folder:PATH of a folder.")
    hold_out = not (root / split).is_dir()
    own_splits = [s for s in SPLIT_FOLDERS if (root / s).is_dir()]
    if hold_out and own_splits:
        raise DataError(
            f"{name} has the sub-folders {', '.join(own_splits)} but none named {split!r}: set "
            "data.train_split and data.eval_split to sub-folders that are there."
        )
    files, labels, num_classes = _list_images(name, root if hold_out else root / split)
    if hold_out:
        indices = holdout_indices(name, split, len(files), every=10)
        files, labels = [files[i] for i in indices], labels[indices]

    def read_labels(indices):
        return labels[np.asarray(indices, np.int64)]

    return Source(
        name=name,
        split=split,
        num_examples=len(files),
        num_classes=num_classes,
        read=lambda indices: ([_read_bytes(files[i]) for i in indices], read_labels(indices)),
        read_labels=read_labels,
        describe=lambda i: str(files[i]),
    )


def _read_bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"{file} cannot be read ({error.strerror}): restore it.") from error


def _list_images(name: str, root: Path) -> tuple[list[Path], np.ndarray, int]:
    """Returns the sorted files, their labels (int32, -1 in a flat folder) and the class count."""
    flat = _images_in(root.iterdir())
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    by_class = [files for folder in folders if (files := _images_in(folder.rglob("*")))]
    if flat and by_class:
        raise DataError(
            f"{name} has {len(flat)} images directly in {str(root)!r} and others in "
            "sub-folders: put all of them in class folders, or none."
        )
    if not flat and not by_class:
        raise DataError(
            f"{name} has no images in {str(root)!r}: put files there that end in "
            f"{', '.join(SUFFIXES)}."
        )
    if flat:
        return flat, np.full(len(flat), -1, np.int32), 0
    labels = np.repeat(np.arange(len(by_class), dtype=np.int32), [len(f) for f in by_class])
    return [f for files in by_class for f in files], labels, len(by_class)


def _images_in(paths) -> list[Path]:
    """Sorted image files; hidden ones (macOS leaves `._x.jpg` that are no images) are not."""
    return sorted(p for p in paths if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
