"""Attributes of images, as small integers: what samples can be asked for (ICML 2024).

`data.attributes` names them with their numbers of values: `class` is the label; `thickness` and
`slant` are measured on grey images and cut at quantiles of the training images, 0 = the thinnest,
or leaning most to the left; any other name is one of the data set's own attributes, as celeb_a has.
"""

import functools
import operator
from typing import Any

import ml_collections
import numpy as np

from ebm_jax.data.dataset import Dataset
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.measures import MEASURES

ANY = -1  # the value of an attribute that is not asked for
_CHUNK = 1024  # images measured at once
Attributes = tuple[tuple[str, int], ...]  # (name, number of values) of each
Edges = tuple[tuple[float, ...], ...]  # of each: values between its bins; () where not measured


def measured(name: str, images: np.ndarray) -> np.ndarray:
    """One of `MEASURES` of grey images, uint8 [n, H, W, 1] → float64 [n]."""
    return np.asarray(MEASURES[name](images[..., 0].astype(np.float64) / 255), np.float64)


def edges_of(dataset: Dataset, attributes: Attributes) -> Edges:
    """Quantiles of the measured attributes that cut a data set into equal parts.

    Args:
      dataset: training images.
      attributes: `data.attributes`.

    Raises:
      ConfigError, DataError: an attribute has no meaning for the images, or other values, or a
        part would be empty.
    """
    found = []
    for name, count in attributes:
        _check(dataset, name, count)
        edges = ()
        if name in MEASURES:
            parts, values = np.linspace(0, 1, count + 1)[1:-1], _measured(dataset, name)
            edges = tuple(round(float(q), 4) for q in np.quantile(values, parts))
            if not np.bincount(np.digitize(values, edges), minlength=count).all():
                raise ConfigError(
                    f"data.attributes gives {name} {count} values, some of which no image of "
                    f"{dataset.name} would have; use fewer."
                )
        found.append(edges)
    return tuple(found)


@functools.lru_cache(maxsize=8)
def values_of(dataset: Dataset, attributes: Attributes, edges: Edges) -> np.ndarray:
    """The attributes of all examples, int32 [num_examples, A].

    Args:
      dataset: one split.
      attributes: `data.attributes`.
      edges: see `edges_of`.
    """
    columns = []
    for (name, _), cuts in zip(attributes, edges, strict=True):
        if name == "class":
            columns.append(dataset.labels)
        elif name in MEASURES:
            columns.append(np.digitize(_measured(dataset, name), cuts))
        else:
            columns.append(dataset.read_attribute(name))
    values = np.stack(columns, axis=1).astype(np.int32)
    values.flags.writeable = False
    return values


def configured(data_config: ml_collections.ConfigDict) -> Attributes:
    """`data.attributes`, () where there are none; hashable.

    Raises:
      ConfigError: it is no tuple of names and numbers, or does not go with `data.flip`.
    """
    given = data_config.get("attributes") or ()
    try:
        found = tuple((str(name), int(count)) for name, count in given)
    except (TypeError, ValueError):
        found = None
    if found is None or any(count < 2 for _, count in found):
        raise ConfigError(
            f"data.attributes is {given}; give pairs of a name and its number of values, 2 or "
            'more, e.g. (("class", 10), ("thickness", 3)).'
        )
    names = [name for name, _ in found]
    if len(set(names)) < len(names):
        raise ConfigError(f"data.attributes names {names}, one of them twice; leave one out.")
    if data_config.get("flip") and "slant" in names:
        raise ConfigError(
            "data.attributes names slant, which data.flip turns round; set data.flip to False."
        )
    return found


def requested(attributes: Attributes, asked: Any, setting: str) -> np.ndarray:
    """What samples are to have, int32 [A] in the order of `attributes`, ANY where any will do.

    Args:
      attributes: `data.attributes`.
      asked: {name: value}, or pairs of them; one or more.
      setting: its name, for errors.

    Raises:
      ConfigError: nothing is asked, a name or value that there is not, or a name twice.
    """
    try:
        found = {name: _whole(value) for name, value in dict(asked).items()}
        wrong = _wrong_of(found, dict(attributes))
        if len(found) != len(asked) or not found:
            wrong = "a name is given twice" if found else "nothing is asked for"
    except (TypeError, ValueError):  # no pairs, or no whole numbers
        wrong = "these are no names with whole numbers"
    if wrong:
        there = ", ".join(f"{name} 0 to {size - 1}" for name, size in attributes)
        raise ConfigError(
            f"{setting} is {asked}, but {wrong}; give pairs of a name and a value, as "
            f'(("{attributes[0][0]}", 0),), in Python also a dict; there are: {there}.'
        )
    return np.array([found.get(name, ANY) for name, _ in attributes], np.int32)


def _wrong_of(found, sizes) -> str:
    for name, value in found.items():
        if name not in sizes:
            return f"there is no '{name}'"
        if not 0 <= value < sizes[name]:
            return f"there is no {name} {value}"
    return ""


def _whole(value) -> int:
    if isinstance(value, bool):
        raise TypeError("a bool is no value")
    return operator.index(value)  # of numpy's and JAX's scalars too


def _check(dataset, name, count):
    if name in MEASURES:
        if dataset.image_shape[-1] != 1:
            raise ConfigError(
                f"data.attributes names {name}, which is measured on grey images, but those of "
                f"{dataset.name} have {dataset.image_shape[-1]} channels; leave it out."
            )
        return
    if name == "class":
        found = dataset.num_classes
        if not found:
            raise DataError(
                f"data.attributes names class, but {dataset.name} has no labels; leave it out."
            )
        present = len(np.unique(dataset.labels[dataset.labels >= 0]))
        if present < found:
            raise ConfigError(
                f"data.attributes names class, but {dataset.name} has examples of {present} of its "
                f"{found} classes; leave out class, or data.classes and data.held_out_class."
            )
    else:
        dataset.read_attribute(name)  # or the error that says which there are
        found = 2
    if count != found:
        raise ConfigError(
            f"data.attributes gives {name} {count} values, but {dataset.name} has {found}; use "
            "that."
        )


def _measured(dataset, name):
    starts = range(0, dataset.num_examples, _CHUNK)
    parts = (np.arange(s, min(s + _CHUNK, dataset.num_examples)) for s in starts)
    return np.concatenate([measured(name, dataset.fetch(part)[0]) for part in parts])
