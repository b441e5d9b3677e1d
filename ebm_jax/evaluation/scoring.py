"""Scores of a data set's images, chunk by chunk: what the detection tasks measure."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context, images_of, task_key
from ebm_jax.evaluation.wording import posterior_words

Terms = dict[str, np.ndarray]  # name → float64 [N]


def score_terms(
    context: Context, task: str, dataset: Any, name: str, examples: np.ndarray, k: int = 0
) -> Terms:
    """The terms of the un-normalised log density L^{>k} of a data set's images.

    They are averaged over `eval.score_samples` draws of the latents. Image i's draws depend on the
    run's seed, the task, the name and i alone. Finished chunks are kept until `shards.remove`.

    Args:
      context: the checkpoint.
      task: whose shards these are.
      dataset: data.Dataset.
      name: of the set of images.
      examples: int [n], their indices in the data set.
      k: layers 1 … k are drawn from p(z_{≤k} | z_{>k}) in place of the posterior.

    Returns:
      {term: float64 [n]}; the terms' sum is L^{>k}. A method without `log_terms` has one term.
    """
    method = context.method
    if method.log_terms is not None:
        function = functools.partial(method.log_terms, k=k)
    else:

        def function(*arguments):
            return {"score": method.log_score(*arguments, k=k)}

    return _averaged(context, task, dataset, name, examples, str(k), function)


def layer_terms(
    context: Context, task: str, dataset: Any, name: str, examples: np.ndarray
) -> list[np.ndarray]:
    """f_1(z_1), f_2(z_2), … float64 [n] each, at the same draws of z as those of `score_terms`.

    The method has `layer_terms`; arguments are as in `score_terms`.
    """
    function = context.method.layer_terms
    return list(_averaged(context, task, dataset, name, examples, "layers", function).values())


def _averaged(context, task, dataset, name, examples, kind, function: Callable) -> Terms:
    """Terms of (state, images, key, index) → terms; `kind` tells one function from another."""
    key = task_key(context, f"{task}/{name}")
    count = len(examples)
    size = min(context.config.eval.batch_size, count)
    guard = shards.digest_of(
        context,
        dataset=[dataset.name, dataset.split],
        name=name,
        examples=examples.tolist(),
        k=kind,
    )
    found = list(
        shards.resumable(
            shards.folder_of(context, task, f"{name}_{kind}_{context.step}"),
            guard,
            math.ceil(count / size),
            lambda number: _terms(context, key, dataset, examples, number * size, size, function),
        )
    )
    return {term: np.concatenate([part[term] for part in found]) for term in found[0]}


def total(terms: Terms) -> np.ndarray:
    """L^{>k}, float64 [N]."""
    return sum(terms.values())


def scored(context: Context, *datasets: Any) -> list[np.ndarray]:
    """Which examples of the splits the detection tasks score: indices, ascending, of each.

    At most `eval.num_detection` of each, always the same ones, drawn at random.
    """
    sizes = [dataset.num_examples for dataset in datasets]
    limit = context.config.eval.num_detection
    return [np.sort(np.random.default_rng(0).permutation(size)[:limit]) for size in sizes]


def draws_words(context: Context) -> str:
    """How often and how the latents of an image are drawn, for a protocol."""
    if context.method.posterior is None:
        return "a score of the image alone, no latents inferred"
    config = context.config
    samples = config.eval.score_samples
    return f"{samples} draw{'s' if samples > 1 else ''} per image, {posterior_words(config)}"


def _terms(context: Context, key, dataset, examples, start: int, size: int, function) -> Terms:
    """Terms of examples[start : start + size], evaluated in a full chunk."""
    context.poll()
    images, index = images_of(context, dataset, examples, start, size)
    sums: Terms = {}
    num = context.config.eval.score_samples
    for draw in range(num):
        arguments = (context.state, images, jax.random.fold_in(key, draw), index)
        for name, values in function(*arguments).items():
            sums[name] = sums.get(name, 0.0) + np.asarray(values, np.float64) / num
    return {name: values[: len(examples) - start] for name, values in sums.items()}
