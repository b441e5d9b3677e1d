"""Any TensorFlow Datasets name, read as array_record without TensorFlow and never downloaded."""

import contextlib
import difflib
import os
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ebm_jax.data.sources.base import Source
from ebm_jax.errors import DataError

_CHUNK = 1024  # records read at once, images and all, when only their labels are wanted


def open_tfds(name: str, split: str) -> Source:
    """Opens a prepared data set from `TFDS_DATA_DIR` (tfds' own default when that is not set).

    Args:
      name: e.g. `mnist`, `celeb_a_hq/256` or `mnist:3.0.1`.
      split: e.g. `train` or `train[:80%]`.

    Returns:
      Source of the feature `image`, with the feature `label` where that is a class label and the
      booleans of the feature `attributes`.

    Raises:
      DataError: the name is unknown, the data set is not prepared, or has no uint8 images.
    """
    with _quiet():
        import tensorflow_datasets as tfds  # costs a second: only when asked for

        data_dir = os.path.expanduser(
            os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets")
        )
        builder = _builder(tfds, name, data_dir)
        features = dict(builder.info.features or {})
        image = features.get("image")
        if image is None:
            raise DataError(
                f"The tfds data set {name!r} has no feature `image` but "
                f"{', '.join(sorted(features)) or 'none'}: choose a data set of images."
            )
        if image.np_dtype != np.uint8 or len(image.shape) != 3:
            raise DataError(
                f"The tfds data set {name!r} has images of dtype {np.dtype(image.np_dtype)} and "
                f"shape {image.shape}: choose one of uint8 images [height, width, channels]."
            )
        # Pillow is called in `decoding` instead: tfds' own path takes half as long again.
        encoded = isinstance(image, tfds.features.Image)
        decoders = {"image": tfds.decode.SkipDecoding()} if encoded else None
        data = _data_source(builder, name, split, data_dir, decoders)
        label = features.get("label")
        labelled = isinstance(label, tfds.features.ClassLabel)
        booleans = _booleans(features.get("attributes"))

    def describe(i):
        return f"example {i} of {name} {split}"

    def labels_of(examples):
        return np.array([e["label"] if labelled else -1 for e in examples], np.int32)

    def read(indices):
        examples = _read(data, indices, describe)
        return [example["image"] for example in examples], labels_of(examples)

    def in_chunks(indices, of):
        chunks = [indices[i : i + _CHUNK] for i in range(0, len(indices), _CHUNK)]
        return np.concatenate([of(_read(data, chunk, describe)) for chunk in chunks])

    def read_labels(indices):
        if not labelled:
            return np.full(len(indices), -1, np.int32)
        return in_chunks(indices, labels_of)

    def read_attribute(name, indices):
        return in_chunks(
            indices, lambda read: np.array([e["attributes"][name] for e in read], np.int32)
        )

    return Source(
        name=name,
        split=split,
        num_examples=len(data),
        num_classes=(label.num_classes or 0) if labelled else 0,
        read=read,
        read_labels=read_labels,
        describe=describe,
        channels=image.shape[-1],
        attributes=booleans,
        read_attribute=read_attribute,
    )


def _booleans(feature) -> tuple[str, ...]:
    """Names of the booleans in the feature `attributes` of a data set, as celeb_a has."""
    if not hasattr(feature, "items"):
        return ()
    return tuple(sorted(name for name, value in feature.items() if value.np_dtype == np.bool_))


def _builder(tfds, name: str, data_dir: str):
    """Returns the tfds builder, or raises a DataError that names what is known."""
    # A namespace such as `huggingface:` would make tfds reach for the network.
    if re.match(r"\w+:(?![\d*])", name):
        raise DataError(
            f"The data set {name!r} starts with an unknown prefix: set data.name to digits, "
            "noise, npz:PATH, folder:PATH or a tfds name."
        )
    known = tfds.list_builders(with_community_datasets=False)  # the community's need the network
    base, _, config = name.partition("/")
    try:
        return tfds.builder(name, data_dir=data_dir)
    except tfds.core.registered.DatasetNotFoundError as error:
        prepared = difflib.get_close_matches(name, _folders_in(data_dir))
        near = prepared or difflib.get_close_matches(name, {*known, "digits", "noise"})
        hint = f"set data.name to {' or '.join(near)}, say" if near else "correct data.name"
        raise DataError(
            f"There is no data set {name!r}, neither in tfds {tfds.__version__} nor in "
            f"{data_dir!r}: {hint}."
        ) from error
    except Exception as error:  # an unknown configuration or version, each of another type
        configs = list(tfds.builder_cls(base).builder_configs) if base in known else []
        if config and config not in configs:
            near = difflib.get_close_matches(config, configs, n=5, cutoff=0.3) or configs[:5]
            hint = f"such as {', '.join(f'{base}/{c}' for c in near)}" if near else f"{base!r}"
            raise DataError(
                f"The tfds data set {base!r} has no configuration {config!r}: set data.name to "
                f"one that it has, {hint}."
            ) from error
        raise DataError(
            f"tfds cannot open {name!r} ({_last_clause(error)}): correct data.name."
        ) from error


def _data_source(builder, name: str, split: str, data_dir: str, decoders) -> Sequence[Any]:
    """Returns the random-access data of a split, or raises a DataError with the cure."""
    try:
        return builder.as_data_source(split, decoders=decoders)
    except NotImplementedError as error:
        found = str(builder.data_dir)
        if os.path.isdir(found):
            state = (
                f"is in {found!r} in a format that only TensorFlow reads: delete that folder and"
            )
        else:
            versions = [
                v for v in _folders_in(os.path.dirname(found)) if re.fullmatch(r"\d+\.\d+\.\d+", v)
            ]
            there = f" beside {', '.join(versions)} (NAME:VERSION opens one)" if versions else ""
            state = f"is not prepared, there is no {found!r}{there}:"
        raise DataError(
            f"The tfds data set {name!r} {state} run `pip install -r requirements-prepare.txt` and "
            f"`tfds build {name} --file_format=array_record --data_dir={data_dir}`, or set "
            "TFDS_DATA_DIR to where it is."
        ) from error
    except Exception as error:  # tfds raises ValueError for splits, anything for damaged files
        raise DataError(
            f"Split {split!r} of {name} in {str(builder.data_dir)!r} cannot be opened or is empty "
            f"({_last_clause(error)}): choose one of {', '.join(builder.info.splits)}, or a part "
            "such as train[:80%]."
        ) from error


def _folders_in(path: str) -> list[str]:
    return sorted(e.name for e in os.scandir(path) if e.is_dir()) if os.path.isdir(path) else []


def _last_clause(error: Exception) -> str:
    """First line of an error of tfds, which puts its own context before it and help after it."""
    first_line = (str(error).splitlines() or [""])[0]
    return first_line.rpartition('}": ')[2].strip(" :.")


def _read(data: Sequence[Any], indices: Sequence[int], describe) -> list[dict[str, Any]]:
    indices = [int(i) for i in indices]
    # One call for many records is several times faster than one each, but does not say
    # which of them failed.
    with contextlib.suppress(Exception):
        return data.__getitems__(indices)
    examples = []
    for i in indices:
        try:
            examples.append(data[i])
        except Exception as error:
            raise DataError(
                f"{describe(i)} cannot be read ({_last_clause(error)}): prepare the data set again."
            ) from error
    return examples


@contextlib.contextmanager
def _quiet():
    """Keeps tfds' notes on absl logging (files, formats, OpenCV) out of the run's output."""
    from absl import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)
