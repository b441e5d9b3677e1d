"""What every source gives: raw examples by index, before crop and resize."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ebm_jax.errors import DataError

# An encoded file (PNG, JPEG, …) or decoded pixels, uint8 [h, w, c].
RawImage = bytes | np.ndarray


class Source(NamedTuple):
    """Raw examples of one split.

    Attributes:
      name: exact name of the data set, as in `data.name`.
      split: name of the split, as asked for.
      num_examples: examples in the split.
      num_classes: 0 when there are no labels.
      read: indices -> (raw images, labels int32 [n], -1 where unlabelled), in their order.
      read_labels: indices -> labels alone, without the cost of the images where that is less.
      describe: index -> words that name the example in an error.
      channels: the number of channels that encoded images are declared to have,
        None when each file says so itself.
      images: all images when they are already in memory, uint8 [n, h, w, c].
      attributes: names of the data set's own two-valued attributes.
      read_attribute: (name, indices) -> its values, int32 [n], 0 or 1.
    """

    name: str
    split: str
    num_examples: int
    num_classes: int
    read: Callable[[Sequence[int]], tuple[list[RawImage], np.ndarray]]
    read_labels: Callable[[Sequence[int]], np.ndarray]
    describe: Callable[[int], str]
    channels: int | None = None
    images: np.ndarray | None = None
    attributes: tuple[str, ...] = ()
    read_attribute: Callable[[str, Sequence[int]], np.ndarray] | None = None


def array_source(
    name: str, split: str, images: np.ndarray, labels: np.ndarray | None, num_classes: int
) -> Source:
    """Source of images that are in memory.

    Args:
      name: name of the data set.
      split: name of the split.
      images: uint8 [n, h, w, c].
      labels: int [n], or None when there are none.
      num_classes: 0 when there are no labels.

    Returns:
      The source.
    """

    def read_labels(indices):
        if labels is None:
            return unlabelled(indices)
        return labels[np.asarray(indices, np.int64)].astype(np.int32)

    return Source(
        name=name,
        split=split,
        num_examples=len(images),
        num_classes=num_classes,
        read=lambda indices: ([images[i] for i in indices], read_labels(indices)),
        read_labels=read_labels,
        describe=lambda i: f"example {i} of {name} {split}",
        images=images,
    )


def unlabelled(indices: Sequence[int]) -> np.ndarray:
    """`Source.read_labels` of a data set without labels."""
    return np.full(len(indices), -1, np.int32)


def check_split(name: str, split: str) -> None:
    """Raises a DataError unless the split is `train` or `test`.

    Args:
      name: name of the data set, for the error.
      split: its split, as asked for.
    """
    if split not in ("train", "test"):
        raise DataError(
            f"{name} has the splits train and test, not {split!r}: set data.train_split and "
            "data.eval_split to one of these."
        )


def holdout_indices(name: str, split: str, num_examples: int, every: int) -> np.ndarray:
    """Splits a data set that has no splits: i % every == every - 1 is `test`, the rest `train`.

    Args:
      name: name of the data set, for the error.
      split: `train` or `test`.
      num_examples: examples in both splits together.
      every: one example in so many is held out.

    Returns:
      Ascending indices of the split, int64 [n].

    Raises:
      DataError: the split has another name.
    """
    check_split(name, split)
    indices = np.arange(num_examples, dtype=np.int64)
    held_out = indices % every == every - 1
    return indices[held_out if split == "test" else ~held_out]
