"""Task `fd_classifier`: how far three image sets are from the training images.

The three sets are samples of the Gaussian prior, samples of the EBM prior and reconstructions of
training images (the floor: what the generator could reach with a perfect prior).
"""

from collections.abc import Iterable

import numpy as np

from ebm_jax.evaluation import fd_classifier as classifiers
from ebm_jax.evaluation.context import (
    Context,
    image_chunks,
    keep_first,
    reconstruction_chunks,
)
from ebm_jax.reporting.grids import save_grid


def run(context: Context) -> dict:
    """Fréchet distance in the features of the data set's own small classifier. Not FID."""
    cfg = context.config
    judge = judge_of(context)
    value_range = tuple(cfg.data.range)
    sets = {"gaussian_prior": _samples(context, "gaussian")}
    if context.method.has_energy:
        sets["ebm_prior"] = _samples(context, "ebm")
    count = min(cfg.eval.num_samples, context.train_set.num_examples)
    pairs = reconstruction_chunks(context, context.train_set, "floor", count)
    sets["reconstruction"] = (restored for _, restored in pairs)
    result = {"gaussian_prior": None, "ebm_prior": None, "reconstruction": None}
    figures = {}
    for kind, chunks in sets.items():
        shown = []
        result[kind] = distance(judge, keep_first(chunks, cfg.eval.grid, shown), value_range)
        file = f"fd_classifier_{kind}.png"
        save_grid(context.folder / file, np.stack(shown), value_range=value_range)
        figures[file] = f"{kind.replace('_', ' ')}: {result[kind]:.2f}".replace("ebm", "EBM")
    steps = cfg.eval.prior_steps or cfg.sampler.prior.num_steps
    return result | {
        "metric": "fd_classifier",
        "num_samples": cfg.eval.num_samples,
        "num_reconstructions": count,
        "classifier": judge.fingerprint,
        "protocol": (
            f"Fréchet distance in the {judge.reference.mean.shape[0]} penultimate features of a "
            f"classifier trained on {context.train_set.name}, {cfg.eval.num_samples} samples "
            f"({count} reconstructions of training images) against all "
            f"{context.train_set.num_examples} training images, decoder mean, averaged weights"
            + (f", K = {steps} prior steps; not FID" if context.method.has_energy else "; not FID")
        ),
        "figures": figures,
    }


def judge_of(context: Context) -> classifiers.Classifier:
    """The classifier of the context's training images.

    Raises:
      DataError: they have no labels.
    """
    images, labels = context.train_set.fetch(np.arange(context.train_set.num_examples))
    name = f"{context.train_set.name}_{context.config.data.image_size}"
    return classifiers.classifier_for(name, images, labels)


def _samples(context, prior):
    return image_chunks(context, "samples", context.config.eval.num_samples, prior=prior)


def distance(judge: classifiers.Classifier, chunks: Iterable[np.ndarray], value_range) -> float:
    """fd_classifier of images [n, H, W, C] in `value_range`; NaN when a chain has blown up."""
    low, high = value_range
    finite = True

    def rescaled():
        nonlocal finite
        for images in chunks:
            finite = finite and bool(np.isfinite(images).all())
            yield np.nan_to_num((images - low) / (high - low) * 2 - 1)

    found = classifiers.fd_classifier_of_chunks(judge, rescaled())
    return found if finite else float("nan")
