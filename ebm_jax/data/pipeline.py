"""Batches: for training a pure function of (seed, k), for evaluation the split in order."""

from collections.abc import Iterator

import ml_collections
import numpy as np

from ebm_jax.data.attributes import configured, edges_of, values_of
from ebm_jax.data.dataset import Dataset
from ebm_jax.data.order import batch_positions, flips_at, indices_at
from ebm_jax.data.transform import to_float
from ebm_jax.errors import ConfigError

Batch = dict[str, np.ndarray]


def make_batch(
    dataset: Dataset,
    data_config: ml_collections.ConfigDict,
    seed: int,
    k: int,
    process_index: int = 0,
    process_count: int = 1,
) -> Batch:
    """Makes this process' share of training batch k.

    Processes take contiguous slices of the global batch; together they see what one process
    would.

    Args:
      dataset: the training split.
      data_config: `config.data` (batch_size of the global batch, flip, range).
      seed: run seed.
      k: number of the batch, from 0.
      process_index: which process this is.
      process_count: number of processes.

    Returns:
      `image` float32 [b, H, W, C] in data.range, `label` int32 [b] (-1 when unlabelled),
      `index` int32 [b], the position in the global batch (0 .. batch_size - 1), and where the
      config has `data.attributes` their values, `attributes` int32 [b, A].

    Raises:
      ConfigError: the batch size is not a positive multiple of process_count.
      DataError: an example cannot be read.
    """
    batch_size = data_config.batch_size
    if batch_size < 1 or batch_size % process_count:
        raise ConfigError(
            f"data.batch_size is {batch_size} and there are {process_count} processes: set it to "
            f"a positive multiple of {process_count}."
        )
    share = batch_size // process_count
    start = process_index * share
    positions = batch_positions(k, batch_size)[start : start + share]
    indices = indices_at(seed, positions, dataset.num_examples)
    images, labels = dataset.fetch(indices)
    if data_config.flip:
        flipped = flips_at(seed, positions)
        images[flipped] = images[flipped, :, ::-1]  # fetch returns a copy: this is ours
    batch = {
        "image": to_float(images, data_config.range),  # [b, H, W, C]
        "label": labels,  # [b]
        "index": np.arange(start, start + share, dtype=np.int32),  # [b]
    }
    attributes = configured(data_config)
    if attributes:
        values = values_of(dataset, attributes, tuple(map(tuple, data_config.attribute_edges)))
        batch["attributes"] = values[indices]
    return batch


def fill_in(data_config: ml_collections.ConfigDict, dataset: Dataset) -> None:
    """Fills in what a config says of its training split: `num_examples`, `attribute_edges`.

    Args:
      data_config: `config.data`.
      dataset: its training split.

    Raises:
      ConfigError, DataError: the data set has not the attributes that are named.
    """
    data_config.num_examples = dataset.num_examples
    attributes = configured(data_config)
    if attributes:
        data_config.attribute_edges = edges_of(dataset, attributes)


def eval_batches(
    dataset: Dataset, data_config: ml_collections.ConfigDict, batch_size: int
) -> Iterator[Batch]:
    """Yields the whole split once, in order and without flips; the last batch may be short.

    Args:
      dataset: the split.
      data_config: `config.data` (range).
      batch_size: examples in a batch.

    Yields:
      Batches as `make_batch` gives, where `index` is the position in the data set.

    Raises:
      ConfigError: batch_size is below 1.
      DataError: an example cannot be read.
    """
    if batch_size < 1:
        raise ConfigError(
            f"The evaluation batch size is {batch_size}: set eval.batch_size to 1 or more."
        )
    for start in range(0, dataset.num_examples, batch_size):
        indices = np.arange(start, min(start + batch_size, dataset.num_examples))
        images, labels = dataset.fetch(indices)
        yield {
            "image": to_float(images, data_config.range),
            "label": labels,
            "index": indices.astype(np.int32),
        }
