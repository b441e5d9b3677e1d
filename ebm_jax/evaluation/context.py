"""What every evaluation task gets, and what they share."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from ebm_jax import data, randomness
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.chunks import padded
from ebm_jax.methods import InferenceState, Method


class Context(NamedTuple):
    """A checkpoint under evaluation.

    Attributes:
      config: the experiment's config.
      method: with compiled functions.
      state: averaged parameters.
      step: of the checkpoint.
      folder: where the task's JSON and PNGs go.
      train_set, eval_set: data.Dataset.
      poll: called between chunks; raises when the run is asked to stop.
      before: step → (step, state) of the newest checkpoint before it, or None.
    """

    config: Any
    method: Method
    state: InferenceState
    step: int
    folder: Path
    train_set: Any
    eval_set: Any
    poll: Callable[[], None]
    before: Callable[[int], tuple[int, InferenceState] | None] = lambda step: None


def last_checkpoints(context: Context, count: int) -> Iterator[Context]:
    """The context of each of the newest `count` checkpoints, newest first.

    Raises:
      ConfigError: the run has fewer.
    """
    yield context
    for number in range(1, count):
        found = context.before(context.step)
        if found is None:
            raise ConfigError(
                f"eval.last_checkpoints is {count}, but the run has {number} that can be read; "
                "lower it, or train with a smaller train.checkpoint_every."
            )
        context = context._replace(step=found[0], state=found[1])
        yield context


def task_key(context: Context, name: str) -> jax.Array:
    """The key of one task's randomness: a function of the run's seed and the name."""
    return randomness.stream(jax.random.key(context.config.seed), f"eval/{name}")


def images_of(
    context: Context, dataset: Any, examples: np.ndarray, start: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """examples[start : start + size] of a data set, for functions compiled for one size.

    A chunk that goes beyond the end repeats the last example; cut what comes of it.

    Args:
      context: the checkpoint.
      dataset: data.Dataset.
      examples: int [N], indices in the data set.
      start: of the chunk.
      size: of the chunk.

    Returns:
      Images [size, H, W, C] in `data.range`, and their indices, int32 [size].
    """
    index = examples[padded(start, size, len(examples))]
    images = data.to_float(dataset.fetch(index)[0], context.config.data.range)
    return images, index.astype(np.int32)


def sample_chunks(
    context: Context, name: str, num_samples: int, batch_size: int, *, skip: int = 0, **options
) -> Iterator[Any]:
    """Samples in chunks; sample i does not depend on the chunk's size.

    Args:
      context: the checkpoint.
      name: of the task's randomness.
      num_samples: samples in all chunks.
      batch_size: samples in a chunk.
      skip: chunks at the beginning that are neither made nor yielded.
      **options: of `Method.sample`.

    Yields:
      Samples on the host; the last chunk is cut to what is missing.
    """
    key = task_key(context, name)
    for start in range(skip * batch_size, num_samples, batch_size):
        context.poll()
        chunk = context.method.sample(context.state, key, batch_size, start=start, **options)
        keep = min(batch_size, num_samples - start)
        chunk = jax.device_get(chunk)
        images, latents, info = jax.tree.map(
            lambda x, keep=keep: x[:keep], (chunk.images, chunk.latents, chunk.info)
        )
        trajectory, profile = jax.tree.map(
            lambda x, keep=keep: x[:, :keep], (chunk.trajectory, chunk.profile)
        )
        yield chunk._replace(
            images=images, latents=latents, info=info, trajectory=trajectory, profile=profile
        )


def recalibrated(context: Context) -> Context:
    """The context samples are drawn in, see `eval.recalibration_batches`."""
    batches = context.config.eval.recalibration_batches
    if not batches:
        return context
    key = task_key(context, "recalibration")
    return context._replace(state=context.method.recalibrate(context.state, key, batches))


def image_chunks(context: Context, name: str, num_samples: int, **options) -> Iterator[np.ndarray]:
    """`num_samples` drawn images in the data's range, [n, H, W, C] with n ≤ `eval.batch_size`."""
    size = context.config.eval.batch_size
    for chunk in sample_chunks(context, name, num_samples, size, **options):
        yield chunk.images


def reconstruction_chunks(
    context: Context, dataset: Any, name: str, limit: int | None = None, *, skip: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(images, reconstructions) of the first `limit` examples, each [n ≤ eval.batch_size, ...].

    The first `skip` chunks are neither made nor yielded.

    Raises:
      ConfigError: the method has no reconstructions.
    """
    if context.method.reconstruct is None:
        raise ConfigError(
            f"method '{context.method.name}' has no latents of an image, so no reconstructions; "
            "leave 'reconstruction' out of eval.tasks."
        )
    key = task_key(context, name)
    size, total = context.config.eval.batch_size, dataset.num_examples
    last = total if limit is None else min(limit, total)
    for start in range(skip * size, last, size):
        context.poll()
        images, index = images_of(context, dataset, np.arange(last), start, size)
        restored = context.method.reconstruct(context.state, images, key, index)
        count = min(size, last - start)
        yield images[:count], np.asarray(restored)[:count]


def keep_first(chunks: Iterable[np.ndarray], count: int, kept: list) -> Iterator[np.ndarray]:
    """Passes chunks on, adding the first `count` of their rows to the list `kept`, one by one."""
    for chunk in chunks:
        kept.extend(chunk[: max(count - len(kept), 0)])
        yield chunk
