"""A data set by index: one split of any source, cropped and resized."""

import dataclasses
import functools
import os
from collections.abc import Callable, Sequence

import ml_collections
import numpy as np

from ebm_jax.data.loading import Examples, in_memory, load_examples, prepare_image
from ebm_jax.data.sources.base import Source
from ebm_jax.data.sources.digits import open_digits
from ebm_jax.data.sources.folder import open_folder
from ebm_jax.data.sources.noise import open_noise
from ebm_jax.data.sources.npz import open_npz
from ebm_jax.data.sources.tfds import open_tfds
from ebm_jax.data.transform import centre_crop
from ebm_jax.errors import ConfigError, DataError


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images of one split.

    Attributes:
      name: exact name of the data set, as in `data.name`, and which of its classes.
      split: name of the split.
      num_examples: examples in the split.
      num_classes: 0 when there are no labels.
      image_shape: (H, W, C).
      fetch: int64 [n] -> (images uint8 [n, H, W, C], labels int32 [n], -1 when unlabelled).
        Safe to call from several threads.
      read_labels: () -> labels of the whole split; use `labels`, which keeps them.
      read_attribute: name -> one of the data set's own attributes for the whole split, int32
        [num_examples] of 0 and 1; DataError where it has none of this name.
    """

    name: str
    split: str
    num_examples: int
    num_classes: int
    image_shape: tuple[int, int, int]
    fetch: Callable[[np.ndarray], Examples]
    read_labels: Callable[[], np.ndarray]
    read_attribute: Callable[[str], np.ndarray]

    @functools.cached_property
    def labels(self) -> np.ndarray:
        """Labels of all examples, int32 [num_examples], -1 when unlabelled."""
        return self.read_labels()


def open_dataset(data_config: ml_collections.ConfigDict, split: str) -> Dataset:
    """Opens one split of the configured data set.

    The images are decoded once, at the first `fetch`, when they fit in `cache_gib`; otherwise
    every `fetch` decodes its own. The first example is checked at once.

    Args:
      data_config: `config.data` (name, image_size, channels, crop, cache_gib; classes, which alone
        are kept; and held_out_class, which is left out of the training split alone).
      split: value of `data.train_split` or `data.eval_split`.

    Returns:
      The data set.

    Raises:
      ConfigError: the image size, channels or crop make no sense, or there is no such class to
        keep or hold out.
      DataError: the data set is missing, not prepared, empty, unreadable or of the wrong shape.
    """
    size, channels, crop = data_config.image_size, data_config.channels, data_config.crop
    for field, value, least in (
        ("image_size", size, 1),
        ("channels", channels, 1),
        ("crop", crop, 0),
    ):
        if value < least:
            raise ConfigError(f"data.{field} is {value}: set it to {least} or more.")
    side = crop or size
    source = open_source(data_config.name, split, (side, side, channels))
    if source.num_examples == 0:
        raise DataError(
            f"Split {split!r} of {source.name} has no examples: choose another split or add images."
        )
    images, _ = source.read([0])
    prepare_image(source, images[0], 0, size, channels, crop)
    fetch, read_labels = _access(source, size, channels, crop, data_config.cache_gib)
    dataset = Dataset(
        name=source.name,
        split=source.split,
        num_examples=source.num_examples,
        num_classes=source.num_classes,
        image_shape=(size, size, channels),
        fetch=fetch,
        read_labels=read_labels,
        read_attribute=functools.partial(_read_attribute, source),
    )
    classes = data_config.get("classes")
    if classes is not None:
        named = f"{dataset.name}[{','.join(map(str, classes))}]"
        dataset = of_classes(dataset, f"data.classes is {tuple(classes)}", tuple(classes), named)
    held_out = data_config.get("held_out_class")
    if held_out is None or split != data_config.train_split:
        return dataset
    if split == data_config.eval_split:
        raise ConfigError(
            f"data.held_out_class is {held_out}, but data.train_split and data.eval_split are both "
            f"'{split}', so no example of that class would be left to test with; choose another "
            "data.eval_split."
        )
    others = np.setdiff1d(dataset.labels, held_out)
    named = f"{dataset.name} without {held_out}"
    return of_classes(dataset, f"data.held_out_class is {held_out}", others, named)


def of_classes(dataset: Dataset, setting: str, classes: Sequence[int], name: str) -> Dataset:
    """The examples of some classes, in their order and numbered anew.

    Args:
      dataset: one split.
      setting: what asks for it, as the beginning of a sentence.
      classes: labels.
      name: of the result, another one: its statistics are others.

    Returns:
      The data set; its labels and `num_classes` stay as they are.

    Raises:
      ConfigError: a class has no example, or all examples are of these classes.
      DataError: the data set has no labels.
    """
    if dataset.num_classes == 0:
        raise DataError(
            f"{setting}, but {dataset.name} has no labels to know the class by; use a labelled "
            "data set, or leave the setting out."
        )
    kept = np.flatnonzero(np.isin(dataset.labels, classes))
    if kept.size in (0, dataset.num_examples) or not np.isin(classes, dataset.labels).all():
        raise ConfigError(
            f"{setting}, which leaves {kept.size} of the {dataset.num_examples} examples of "
            f"{dataset.name} {dataset.split}; use its classes 0 to {dataset.num_classes - 1}, not "
            "all of them."
        )
    kept.flags.writeable = False
    return dataclasses.replace(
        dataset,
        name=name,
        num_examples=kept.size,
        fetch=lambda indices: dataset.fetch(kept[indices]),
        read_labels=lambda: dataset.labels[kept],
        read_attribute=lambda name: dataset.read_attribute(name)[kept],
    )


def open_source(name: str, split: str, shape: tuple[int, int, int]) -> Source:
    """Opens the raw examples that `data.name` stands for.

    Args:
      name: `digits`, `noise`, `npz:PATH`, `folder:PATH` or a tfds name.
      split: name of the split.
      shape: (H, W, C) that a source gives its images if it makes them itself.

    Returns:
      The source.

    Raises:
      DataError: there is no such data set or split.
    """
    if name == "digits":
        return open_digits(split)
    if name == "noise":
        return open_noise(split, shape)
    kind, _, path = name.partition(":")
    if kind == "npz":
        return open_npz(os.path.expanduser(path), split)
    if kind == "folder":
        return open_folder(os.path.expanduser(path), split)
    return open_tfds(name, split)


def _read_attribute(source: Source, name: str) -> np.ndarray:
    if name not in source.attributes:
        own = f", or one of its own: {', '.join(source.attributes)}" if source.attributes else ""
        raise DataError(
            f"data.attributes names '{name}', which {source.name} has not; use class, where images "
            f"are grey thickness or slant{own}."
        )
    return source.read_attribute(name, np.arange(source.num_examples))


def _access(source: Source, size: int, channels: int, crop: int, cache_gib: float):
    """Returns the data set's `fetch` and `read_labels`."""
    everything = np.arange(source.num_examples)
    if source.images is not None and (crop or min(source.images.shape[1:3])) == size:
        examples = in_memory(
            lambda: (centre_crop(source.images, crop), source.read_labels(everything))
        )
    elif source.num_examples * size * size * channels <= cache_gib * 2**30:
        examples = in_memory(lambda: load_examples(source, everything, size, channels, crop))
    else:
        return (
            lambda indices: load_examples(source, indices, size, channels, crop),
            lambda: source.read_labels(everything),
        )

    def fetch(indices: np.ndarray) -> Examples:
        images, labels = examples()
        return images[indices], labels[indices]

    return fetch, lambda: examples()[1]
