"""Task `learning_curve`: how far samples are from the data at the last checkpoints of a run.

By `fd_classifier` where the data set has labelled grey images, else by FID.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ebm_jax import data
from ebm_jax.evaluation import fid_task, shards
from ebm_jax.evaluation.context import Context, last_checkpoints
from ebm_jax.evaluation.fd_classifier import distance_of_features, features_of
from ebm_jax.evaluation.fid_protocol import fid, protocol
from ebm_jax.evaluation.frechet import accumulate, empty_accumulator, finalize
from ebm_jax.evaluation.generation import (
    Seen,
    image_sets,
    is_judged,
    judge_of,
    set_features,
    set_words,
    to_unit,
)
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.reference import reference_of
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
    yardstick = _yardstick(context)
    kinds = ["gaussian_prior"] + ["ebm_prior"] * context.method.has_energy
    found: dict[str, dict[int, float]] = {kind: {} for kind in kinds}
    for at in list(last_checkpoints(context, cfg.last_checkpoints)):  # all or none
        for kind in kinds:
            images, seen = image_sets(at)[kind], Seen()
            chunks = set_features(
                *(at, "learning_curve", f"{kind}_{at.step}", images, yardstick.extract),
                network=yardstick.fingerprint,
            )
            distance = yardstick.distance(seen.of(chunks))
            found[kind][at.step] = distance if seen.finite else float("nan")
    shards.remove(context, "learning_curve")
    metric = yardstick.metric
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
        "network": yardstick.fingerprint,
        "protocol": (
            f"{yardstick.words}; {cfg.num_samples} samples at each of the last {len(steps)} "
            f"checkpoints, {set_words(context, ())}"
        ),
        "figures": {
            "learning_curve.png": f"{metric} of samples at the last {len(steps)} checkpoints."
        },
    }


class _Yardstick(NamedTuple):
    """A distance to the training images.

    Attributes:
      metric: its name.
      words: what it is, for a protocol.
      fingerprint: of its network.
      extract: images [n, H, W, C] in the data's range → what is kept of them.
      distance: chunks of what is kept → the number.
    """

    metric: str
    words: str
    fingerprint: str
    extract: Callable[[np.ndarray], dict[str, np.ndarray]]
    distance: Callable[[Iterator[dict[str, np.ndarray]]], float]


def _yardstick(context: Context) -> _Yardstick:
    if is_judged(context.train_set):
        judge = judge_of(context)
        return _Yardstick(
            "fd_classifier",
            "Fréchet distance in the features of a classifier trained on "
            f"{context.train_set.name}, not FID",
            judge.fingerprint,
            lambda images: {"features": features_of(judge, to_unit(context, images))},
            lambda chunks: distance_of_features(judge, (chunk["features"] for chunk in chunks)),
        )
    cfg = context.config.eval
    features = str(cfg.fid_features)
    extractor = open_extractor([features], cfg.fid_resize)
    reference = reference_of(context, extractor, features, cfg.fid_reference)

    def distance(chunks):
        accumulator = empty_accumulator(int(features))
        for chunk in chunks:
            accumulator = accumulate(accumulator, chunk[features])
        return fid(finalize(accumulator), reference.moments)

    return _Yardstick(
        fid_task.name_of(context),
        protocol(features, cfg.fid_resize, extractor.fingerprint),
        extractor.fingerprint,
        lambda images: extractor(data.to_uint8(np.nan_to_num(images), context.config.data.range)),
        distance,
    )
