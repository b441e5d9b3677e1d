"""Gradients of a batch from its parts, one after the other, in the memory of one part."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def in_parts(gradients: Callable[[Any], Any], batch: Any, parts: int) -> Any:
    """The mean of `gradients` over equal parts of a batch.

    With gradients that are means over examples this is the whole batch's gradient, up to rounding.

    Args:
      gradients: batch → tree of arrays (gradients, metrics, …), each a mean over the batch.
      batch: leaves [B, ...].
      parts: how many; must divide B.

    Returns:
      A tree like that of `gradients`.

    Raises:
      ValueError: B does not split into so many parts.
    """
    if parts == 1:
        return gradients(batch)
    split = _split(batch, parts)
    shapes = jax.eval_shape(gradients, jax.tree.map(lambda leaf: leaf[0], split))
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    def add(total, part):
        return jax.tree.map(lambda t, g: t + g / parts, total, gradients(part)), None

    return jax.lax.scan(add, zeros, split)[0]


def joined_parts(function: Callable[[Any], tuple[Any, Any]], batch: Any, parts: int) -> Any:
    """(results of all examples, mean of the metrics) of `function` on equal parts of a batch.

    Args:
      function: batch → (tree of arrays [B, ...], tree of means over the batch).
      batch, parts: as in `in_parts`.

    Raises:
      ValueError: B does not split into so many parts.
    """
    if parts == 1:
        return function(batch)
    results, metrics = jax.lax.map(function, _split(batch, parts))
    joined = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), results)
    return joined, jax.tree.map(lambda leaf: leaf.mean(axis=0), metrics)


def _split(batch, parts):
    """Leaves [B, ...] → [parts, B / parts, ...]."""
    size = jax.tree.leaves(batch)[0].shape[0]
    if size % parts:
        raise ValueError(f"a batch of {size} does not split into {parts} parts.")
    return jax.tree.map(lambda leaf: leaf.reshape(parts, -1, *leaf.shape[1:]), batch)
