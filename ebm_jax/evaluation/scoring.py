"""Scores of a data set's images, chunk by chunk: what the detection tasks measure."""

import math
from typing import Any

import jax
import numpy as np

from ebm_jax import data
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context, task_key
from ebm_jax.evaluation.wording import posterior_words

Terms = dict[str, np.ndarray]  # name → float64 [N]


def score_terms(
    context: Context, task: str, dataset: Any, name: str, count: int, k: int = 0
) -> Terms:
    """The terms of the un-normalised log density L^{>k} of a data set's first images.

    They are averaged over `eval.score_samples` draws of the latents. Image i's draws depend on the
    run's seed, the task, the name and i alone. Finished chunks are kept until `shards.remove`.

    Args:
      context: the checkpoint.
      task: whose shards these are.
      dataset: data.Dataset.
      name: of the set of images.
      count: how many of them, from the first.
      k: layers 1 … k are drawn from p(z_{≤k} | z_{>k}) in place of the posterior.

    Returns:
      {term: float64 [count]}; the terms' sum is L^{>k}. A method without `log_terms` has one term.
    """
    key = task_key(context, f"{task}/{name}")
    size = min(context.config.eval.batch_size, count)
    guard = shards.digest_of(
        context, dataset=[dataset.name, dataset.split], name=name, count=count, k=k
    )
    found = list(
        shards.resumable(
            shards.folder_of(context, task, f"{name}_{k}_{context.step}"),
            guard,
            math.ceil(count / size),
            lambda number: _terms(context, key, dataset, number * size, size, count, k),
        )
    )
    return {term: np.concatenate([part[term] for part in found]) for term in found[0]}


def total(terms: Terms) -> np.ndarray:
    """L^{>k}, float64 [N]."""
    return sum(terms.values())


def scored(context: Context, dataset: Any) -> int:
    """How many examples of a split the detection tasks score."""
    limit = context.config.eval.num_detection
    return dataset.num_examples if limit is None else min(limit, dataset.num_examples)


def draws_words(config: Any) -> str:
    """How often and how the latents of an image are drawn, for a protocol."""
    samples = config.eval.score_samples
    return f"{samples} draw{'s' if samples > 1 else ''} per image, {posterior_words(config)}"


def _terms(context: Context, key, dataset, start: int, size: int, count: int, k: int) -> Terms:
    """Terms of the examples start … start + size − 1, of which those below `count` are kept."""
    context.poll()
    method = context.method
    # The last chunk repeats an example rather than be compiled for a shape of its own.
    index = np.minimum(np.arange(start, start + size), count - 1)
    pixels, _ = dataset.fetch(index)
    images = data.to_float(pixels, context.config.data.range)
    sums: Terms = {}
    num = context.config.eval.score_samples
    for draw in range(num):
        arguments = (context.state, images, jax.random.fold_in(key, draw), index.astype(np.int32))
        if method.log_terms is None:
            drawn = {"score": method.log_score(*arguments, k=k)}
        else:
            drawn = method.log_terms(*arguments, k=k)
        for name, values in drawn.items():
            sums[name] = sums.get(name, 0.0) + np.asarray(values, np.float64) / num
    return {name: values[: count - start] for name, values in sums.items()}
