"""The image sets that generation is judged by, and the task `fd_classifier`.

The three sets are samples of the Gaussian prior, samples of the EBM prior and reconstructions of
training images (the floor: what the generator could reach with a perfect prior).
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ebm_jax.evaluation import fd_classifier as classifiers
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import (
    Context,
    image_chunks,
    recalibrated,
    reconstruction_chunks,
)
from ebm_jax.evaluation.wording import posterior_words, prior_words, weights_words
from ebm_jax.reporting.grids import save_grid

KINDS = ("gaussian_prior", "ebm_prior", "reconstruction")


class ImageSet(NamedTuple):
    """Images in the data's range, made in chunks of `eval.batch_size`.

    Attributes:
      count: images in all.
      chunks: k → iterator of [n, H, W, C] from chunk k on; nothing is made for those before.
    """

    count: int
    chunks: Callable[[int], Iterator[np.ndarray]]


def run(context: Context) -> dict:
    """Fréchet distance in the features of the data set's own small classifier. Not FID."""
    cfg = context.config
    judge = judge_of(context)
    result: dict[str, Any] = dict.fromkeys(KINDS)
    figures = {}

    def extract(images):
        return {"features": classifiers.features_of(judge, to_unit(context, images))}

    sets = image_sets(context)
    for kind, images in sets.items():
        seen = Seen()
        chunks = set_features(
            context, "fd_classifier", kind, images, extract, network=judge.fingerprint
        )
        found = classifiers.distance_of_features(judge, (c["features"] for c in seen.of(chunks)))
        result[kind] = found if seen.finite else float("nan")
        figures |= save_shown(context, "fd_classifier", kind, seen.images, f"{result[kind]:.2f}")
    shards.remove(context, "fd_classifier")
    return result | {
        "metric": "fd_classifier",
        "num_samples": cfg.eval.num_samples,
        "num_reconstructions": restored_count(sets),
        "classifier": judge.fingerprint,
        "protocol": (
            f"Fréchet distance in the {judge.reference.mean.shape[0]} penultimate features of a "
            f"classifier trained on {context.train_set.name}, {cfg.eval.num_samples} samples"
            f"{restored_words(sets)} against all "
            f"{context.train_set.num_examples} training images, {set_words(context, sets)}; not FID"
        ),
        "figures": figures,
    }


def image_sets(context: Context, name: str = "samples") -> dict[str, ImageSet]:
    """{kind: images}; without an energy there is no `ebm_prior`, without latents of an image no
    `reconstruction`. The samples' randomness is a function of the run's seed and `name`."""
    total = context.config.eval.num_samples
    restored = min(total, context.train_set.num_examples)

    drawn = recalibrated(context)

    def samples(prior):
        return ImageSet(total, lambda k: image_chunks(drawn, name, total, prior=prior, skip=k))

    def reconstructions(k):
        for _, images in reconstruction_chunks(
            context, context.train_set, "floor", restored, skip=k
        ):
            yield images

    sets = {"gaussian_prior": samples("gaussian")}
    if context.method.has_energy:
        sets["ebm_prior"] = samples("ebm")
    if context.method.reconstruct is not None:
        sets["reconstruction"] = ImageSet(restored, reconstructions)
    return sets


def restored_count(sets: dict[str, ImageSet]) -> int:
    """How many reconstructions there are among the sets."""
    return sets["reconstruction"].count if "reconstruction" in sets else 0


def restored_words(sets: dict[str, ImageSet]) -> str:
    """What a protocol says of their number, after that of the samples."""
    count = restored_count(sets)
    return f" ({count} reconstructions of training images)" if count else ""


def set_words(context: Context, sets: dict[str, ImageSet]) -> str:
    """What a protocol says of how the sets came about."""
    config = context.config
    words = f"decoder mean, {weights_words(config)}{prior_words(config, context.method)}"
    if config.eval.recalibration_batches:
        batches = config.eval.recalibration_batches
        words += f", samples: batch normalisation by statistics of {batches} batches of them"
    if "reconstruction" in sets:
        words += f", reconstructions: {posterior_words(context.config)}"
    return words


def set_features(
    context: Context,
    task: str,
    kind: str,
    images: ImageSet,
    extract: Callable[[np.ndarray], dict[str, np.ndarray]],
    **guarded: Any,
) -> Iterator[dict[str, np.ndarray]]:
    """What is kept of a set's images, chunk by chunk; a rerun makes only the missing chunks.

    Args:
      context: the checkpoint.
      task, kind: where the shards go.
      images: the set.
      extract: images [n, H, W, C] in the data's range → {name: array}.
      **guarded: what `extract` depends on beside the settings, e.g. its network's fingerprint.

    Yields:
      What `extract` gives, `finite` (whether all pixels are) and `shown` (those of the chunk's
      images that are among the first `eval.grid`).
    """
    cfg = context.config.eval

    def make(k):
        chunk = next(images.chunks(k))
        shown = chunk[: max(cfg.grid - k * cfg.batch_size, 0)]
        return extract(chunk) | {"finite": np.isfinite(chunk).all(), "shown": shown}

    guard = shards.digest_of(context, task=task, kind=kind, **guarded)
    folder = shards.folder_of(context, task, kind)
    yield from shards.resumable(folder, guard, math.ceil(images.count / cfg.batch_size), make)


class Seen:
    """What remains of chunks that pass by: the images for the figure, whether all were finite."""

    def __init__(self):
        self.images, self.finite = [], True

    def of(self, chunks: Iterable[dict[str, np.ndarray]]) -> Iterator[dict[str, np.ndarray]]:
        """Passes the chunks of `set_features` on."""
        for chunk in chunks:
            self.images.extend(chunk["shown"])
            self.finite = self.finite and bool(chunk["finite"])
            yield chunk


def save_shown(context: Context, task: str, kind: str, images: list, number: str) -> dict[str, str]:
    """Writes the grid of one set; returns {its file: caption}."""
    file = f"{task}_{kind}.png"
    value_range = tuple(context.config.data.range)
    save_grid(context.folder / file, np.stack(images), value_range=value_range)
    words = kind.replace("_", " ").replace("ebm", "EBM")
    return {file: f"{words[0].upper()}{words[1:]}: {number}"}


def is_judged(dataset: Any) -> bool:
    """Whether a data set can have a classifier of its own: grey images with labels."""
    return dataset.num_classes > 1 and dataset.image_shape[-1] == 1


def judge_of(context: Context) -> classifiers.Classifier:
    """The classifier of the context's training images.

    Raises:
      DataError: they have no labels.
    """
    images, labels = context.train_set.fetch(np.arange(context.train_set.num_examples))
    name = f"{context.train_set.name}_{context.config.data.image_size}"
    return classifiers.classifier_for(name, images, labels)


def distance(judge: classifiers.Classifier, chunks: Iterable[np.ndarray], value_range) -> float:
    """fd_classifier of images [n, H, W, C] in `value_range`; NaN when a chain has blown up."""
    finite = True

    def rescaled():
        nonlocal finite
        for images in chunks:
            finite = finite and bool(np.isfinite(images).all())
            yield _rescaled(images, value_range)

    found = classifiers.fd_classifier_of_chunks(judge, rescaled())
    return found if finite else float("nan")


def to_unit(context: Context, images: np.ndarray) -> np.ndarray:
    """Images in the data's range, brought to [-1, 1]; NaN becomes 0."""
    return _rescaled(images, tuple(context.config.data.range))


def _rescaled(images, value_range):
    low, high = value_range
    return np.nan_to_num((images - low) / (high - low) * 2 - 1)
