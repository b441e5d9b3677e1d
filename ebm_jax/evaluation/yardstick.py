"""What tells how far samples are from the training images: `fd_classifier`, or else FID.

`fd_classifier` where the data set has labelled grey images (`generation.is_judged`).
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ebm_jax import data
from ebm_jax.evaluation import fid_task
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.fd_classifier import distance_of_features, features_of
from ebm_jax.evaluation.fid_protocol import fid, protocol
from ebm_jax.evaluation.frechet import accumulate, empty_accumulator, finalize
from ebm_jax.evaluation.generation import (
    ImageSet,
    Seen,
    is_judged,
    judge_of,
    set_features,
    to_unit,
)
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.reference import reference_of


class Yardstick(NamedTuple):
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

    def measure(
        self, context: Context, task: str, name: str, images: ImageSet
    ) -> tuple[float, list[np.ndarray]]:
        """(the distance of a set, NaN where a pixel is not finite; its first `eval.grid` images).

        Args:
          context: the checkpoint.
          task, name: where finished chunks are kept until `shards.remove`.
          images: the set.
        """
        seen = Seen()
        chunks = set_features(context, task, name, images, self.extract, network=self.fingerprint)
        distance = self.distance(seen.of(chunks))
        return distance if seen.finite else float("nan"), seen.images


def check(config: Any, dataset: Any) -> None:
    """Before training: where the distance is FID, what it needs.

    Raises:
      ConfigError, DataError: as `fid_task.check`.
    """
    if not is_judged(dataset):
        fid_task.check(config, dataset)


def yardstick_of(context: Context) -> Yardstick:
    """The yardstick of the context's training images.

    Raises:
      ConfigError, DataError: as `fid_task.check`.
    """
    if is_judged(context.train_set):
        judge = judge_of(context)
        return Yardstick(
            "fd_classifier",
            f"Fréchet distance in the {judge.reference.mean.shape[0]} penultimate features of a "
            f"classifier trained on {context.train_set.name}, from all "
            f"{context.train_set.num_examples} training images; not FID",
            judge.fingerprint,
            lambda images: {"features": features_of(judge, to_unit(context, images))},
            lambda chunks: distance_of_features(judge, (chunk["features"] for chunk in chunks)),
        )
    cfg = context.config.eval
    features = str(cfg.fid_features)
    extractor = open_extractor([features], cfg.fid_resize)
    reference = reference_of(context, extractor, features, cfg.fid_reference)
    total, used = fid_task.counts(context)

    def distance(chunks):
        accumulator = empty_accumulator(int(features))
        for chunk in chunks:
            accumulator = accumulate(accumulator, chunk[features])
        return fid(finalize(accumulator), reference.moments)

    return Yardstick(
        fid_task.name_of(context),
        f"{protocol(features, cfg.fid_resize, extractor.fingerprint)}; from "
        f"{used} of {total} images of split {context.train_set.split}",
        extractor.fingerprint,
        lambda images: extractor(data.to_uint8(np.nan_to_num(images), context.config.data.range)),
        distance,
    )
