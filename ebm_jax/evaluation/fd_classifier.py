"""`fd_classifier`: Fréchet distance in the features of a small classifier of the data set.

For grey sets such as digits, MNIST and Fashion-MNIST. It is not FID: the network is the project's
own, trained on the data set's labels, and its scale means nothing beside Inception's. Two numbers
compare only if they come from the same classifier (`Classifier.fingerprint`), the same reference
split and the same number of samples.

Protocol: samples in [-1, 1], clipped and never stretched,
against every image of the training split; 64-d linear pre-activations of the penultimate layer;
float64 moments with the n - 1 covariance; classifier trained with seed 0 on the training split.
"""

import hashlib
import re
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from ebm_jax.cache import cache_root
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.classifier import (
    FEATURE_WIDTH,
    VERSION,
    check_training_set,
    features,
    train_classifier,
)
from ebm_jax.evaluation.frechet import (
    Moments,
    frechet_distance,
    moments,
    moments_of_chunks,
)
from ebm_jax.reporting.files import write_npz


class Classifier(NamedTuple):
    """A trained classifier and the training images' place in its feature space.

    Attributes:
        params: nested dict of float32 NumPy arrays.
        reference: moments of the features of all training images.
        image_shape: (H, W, C) of the training images.
        fingerprint: hexadecimal digest of the weights, to be reported with every number; training
            on another backend rounds differently and so gives another network.
    """

    params: Any
    reference: Moments
    image_shape: tuple[int, int, int]
    fingerprint: str


def classifier_for(
    dataset_name: str, images: np.ndarray, labels: np.ndarray, cache_dir: str | Path | None = None
) -> Classifier:
    """The data set's classifier, trained once and then read from the cache.

    The file's name carries a digest of images, labels and `VERSION`, so a changed data set never
    meets an old classifier. Concurrent writers each rename a file of their own into place.

    Args:
        dataset_name: exact name of the data set, only for the file's name.
        images: full training split [N, H, W, C], uint8 or float in [-1, 1]; the digest is over
            the bytes, so always pass the same form.
        labels: int [N].
        cache_dir: instead of `$EBM_JAX_CACHE`, or else `~/.cache/ebm_jax`.

    Returns:
        The classifier with the moments of `images` as its reference.

    Raises:
        DataError: as `train_classifier`, or fewer than two training images.
    """
    images, labels = check_training_set(images, labels)
    digest = _digest({"images": images, "labels": labels, "version": np.array(VERSION)})
    if cache_dir is None:
        cache_dir = cache_root()
    stem = re.sub(r"[^A-Za-z0-9._-]+", "_", dataset_name).strip("._")[:80] or "unnamed"
    path = Path(cache_dir) / "fd_classifier" / f"{stem}-{digest}.npz"
    if path.exists():
        try:
            return _load(path, images.shape[1:])
        except Exception as error:  # a damaged zip raises a dozen kinds; all mean: not usable
            _warn(f"The cached classifier {path} cannot be read ({error}); it is trained again.")
    params = train_classifier(images, labels)
    reference = moments(features(params, images))
    fingerprint = _digest(flatten_dict(params, sep="/"))
    classifier = Classifier(params, reference, images.shape[1:], fingerprint)
    try:
        _save(path, classifier)
    except OSError as error:
        _warn(f"The classifier cannot be cached ({error}); the next run trains it again.")
    return classifier


def fd_classifier(classifier: Classifier, images: np.ndarray) -> float:
    """`fd_classifier_of_chunks` of one array of samples [N, H, W, C]."""
    return fd_classifier_of_chunks(classifier, [images])


def fd_classifier_of_chunks(classifier: Classifier, chunks: Iterable[np.ndarray]) -> float:
    """Fréchet distance of samples to the full training split, in the classifier's features.

    Args:
        classifier: from `classifier_for`.
        chunks: samples [n, H, W, C], float in [-1, 1] (values outside are clipped), in any number
            of arrays; one is held at a time. 65 or more in all.

    Returns:
        The distance.

    Raises:
        ConfigError: too few samples for a covariance of full rank.
        DataError: the samples do not have the training images' shape.
        ValueError: a sample is not finite.
    """

    def seen():
        for images in chunks:
            yield features_of(classifier, images)

    return distance_of_features(classifier, seen())


def features_of(classifier: Classifier, images: np.ndarray) -> np.ndarray:
    """The classifier's features of samples [n, H, W, C] in [-1, 1]: float32 [n, 64].

    Raises:
        DataError: the samples do not have the training images' shape.
        ValueError: a sample is not finite.
    """
    images = np.asarray(images)
    if images.shape[1:] != classifier.image_shape:
        raise DataError(
            f"fd_classifier was trained on images of shape {classifier.image_shape}, but "
            f"the samples have shape {images.shape[1:]}; use the classifier of the "
            "samples' data set."
        )
    return features(classifier.params, images)


def distance_of_features(classifier: Classifier, chunks: Iterable[np.ndarray]) -> float:
    """`fd_classifier_of_chunks` of samples whose features [n, 64] are known.

    Raises:
        ConfigError: too few samples for a covariance of full rank.
    """
    drawn = moments_of_chunks(chunks)
    if drawn.count < FEATURE_WIDTH + 1:
        raise ConfigError(
            f"fd_classifier needs at least {FEATURE_WIDTH + 1} samples for a covariance of its "
            f"{FEATURE_WIDTH} features, but got {drawn.count}; draw more samples."
        )
    return frechet_distance(drawn, classifier.reference)


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]


def _save(path: Path, classifier: Classifier) -> None:
    arrays = {f"params/{k}": v for k, v in flatten_dict(classifier.params, sep="/").items()}
    fingerprint = np.asarray(classifier.fingerprint)
    write_npz(path, {**arrays, **classifier.reference._asdict(), "fingerprint": fingerprint})


def _load(path: Path, image_shape: tuple[int, int, int]) -> Classifier:
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    reference = Moments(arrays["mean"], arrays["covariance"], int(arrays["count"]))
    weights = {k.removeprefix("params/"): v for k, v in arrays.items() if k.startswith("params/")}
    fingerprint = _digest(weights)
    if fingerprint != str(arrays["fingerprint"]):
        raise ValueError("its weights are not those that were written")
    return Classifier(unflatten_dict(weights, sep="/"), reference, image_shape, fingerprint)


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)
