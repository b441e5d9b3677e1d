"""Task `learning_curve`: how far samples are from the data at the last checkpoints of a run.

By `fd_classifier` where the data set has labelled grey images, else by FID.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ebm_jax import data
from ebm_jax.evaluation import fid_task
from ebm_jax.evaluation.context import Context, image_chunks, last_checkpoints
from ebm_jax.evaluation.fid_protocol import fid
from ebm_jax.evaluation.frechet import accumulate, empty_accumulator, finalize
from ebm_jax.evaluation.generation import distance, is_judged, judge_of
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.reference import reference_of
from ebm_jax.evaluation.wording import prior_words
from ebm_jax.reporting.curves import plot_profile


def check(config: Any, dataset: Any) -> None:
    """Before training: where the distance is FID, what it needs.

    Raises:
      ConfigError, DataError: as `fid_task.check`.
    """
    if not is_judged(dataset):
        fid_task.check(config, dataset)


def run(context: Context) -> dict:
    """The distance of both priors' samples at each checkpoint, and its curve."""
    cfg = context.config.eval
    metric, measure = _measure(context)
    kinds = ["gaussian_prior"] + ["ebm_prior"] * context.method.has_energy
    found: dict[str, dict[int, float]] = {kind: {} for kind in kinds}
    for at in list(last_checkpoints(context, cfg.last_checkpoints)):  # all or none
        for kind in kinds:
            prior = kind.removesuffix("_prior")
            found[kind][at.step] = measure(
                image_chunks(at, "samples", cfg.num_samples, prior=prior)
            )
    steps = sorted(found["gaussian_prior"])
    curves = {kind: np.array([at[step] for step in steps]) for kind, at in found.items()}
    plot_profile(
        context.folder / "learning_curve.png",
        {kind.replace("_", " ").replace("ebm", "EBM"): values for kind, values in curves.items()},
        xlabel="training step",
        ylabel=metric,
        x=np.array(steps),
    )
    return {
        "metric": metric,
        "results": {
            f"{kind}@{step}": at[step]
            for kind, at in found.items()
            for step in (steps[0], steps[-1])
        },
        "curves": {
            kind: dict(zip(map(str, steps), values.tolist(), strict=True))
            for kind, values in curves.items()
        },
        "num_samples": cfg.num_samples,
        "protocol": (
            f"{metric} of {cfg.num_samples} samples at each of the last {len(steps)} checkpoints, "
            f"decoder mean, averaged weights{prior_words(context.config, context.method)}"
        ),
        "figures": {
            "learning_curve.png": f"{metric} of samples at the last {len(steps)} checkpoints."
        },
    }


def _measure(context) -> tuple[str, Callable[[Iterator[np.ndarray]], float]]:
    """(the metric's name, images in chunks → its number)."""
    value_range = tuple(context.config.data.range)
    if is_judged(context.train_set):
        judge = judge_of(context)
        return "fd_classifier", lambda chunks: distance(judge, chunks, value_range)
    cfg = context.config.eval
    features = str(cfg.fid_features)
    extractor = open_extractor([features], cfg.fid_resize)
    reference = reference_of(context, extractor, features, cfg.fid_reference)

    def measure(chunks):
        accumulator = empty_accumulator(int(features))
        for images in chunks:
            if not np.isfinite(images).all():
                return float("nan")
            pixels = data.to_uint8(images, value_range)
            accumulator = accumulate(accumulator, extractor(pixels)[features])
        return fid(finalize(accumulator), reference.moments)

    return fid_task.name_of(context), measure
