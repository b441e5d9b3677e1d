"""`fd_classifier`: Fréchet distance in the features of a small classifier of the data set.

For grey sets such as digits, MNIST and Fashion-MNIST. It is not FID: the network is the project's
own, trained on the data set's labels, and its scale means nothing beside Inception's. Two numbers
compare only if they come from the same classifier (`Classifier.fingerprint`), the same reference
split and the same number of samples.

Protocol `fd_classifier_train_n2000`: 2000 samples in [-1, 1], clipped and never stretched,
against every image of the training split; 64-d linear pre-activations of the penultimate layer;
float64 moments with the n - 1 covariance; classifier trained with seed 0 on the training split.
"""

import hashlib
import os
import re
import uuid
import warnings
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.frechet import Moments, frechet_distance, moments

FEATURE_WIDTH = 64
TRAINING_SEED = 0
# Part of the cache key: raise it whenever the network or its training changes.
VERSION = 1

_BATCH = 128
_EPOCHS = 3
_MIN_STEPS, _MAX_STEPS = 400, 1500
_PEAK_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-2
# Bounds the logits, and with them the growth of the features once every image is fitted.
_LABEL_SMOOTHING = 0.1


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


class Network(nn.Module):
    """Three convolutions, a linear feature layer and a linear head."""

    num_classes: int

    @nn.compact
    def __call__(self, x):  # [B, H, W, C] in [-1, 1] to features [B, 64] and logits [B, K]
        # Strided convolutions take 28 to 4 pixels; an 8-pixel image cannot afford the first.
        first_stride = 2 if min(x.shape[1:3]) > 16 else 1
        for width, kernel, stride in ((16, 5, first_stride), (32, 3, 2), (64, 3, 2)):
            x = nn.gelu(nn.Conv(width, (kernel, kernel), strides=(stride, stride))(x))
        # Features are taken before the nonlinearity: a rectified half-line is far from Gaussian.
        features = nn.Dense(FEATURE_WIDTH)(x.reshape(x.shape[0], -1))
        return features, nn.Dense(self.num_classes)(nn.gelu(features))


def protocol(num_samples: int, split: str = "train") -> str:
    """Returns the metric's full name, e.g. `fd_classifier_train_n2000`."""
    return f"fd_classifier_{split}_n{num_samples}"


def train_classifier(images: np.ndarray, labels: np.ndarray, seed: int = TRAINING_SEED) -> Any:
    """Trains the classifier; the same arrays, seed and backend give the same weights.

    Args:
        images: [N, H, W, C], uint8 in [0, 255] or float in [-1, 1].
        labels: int [N]; a negative label means unlabelled, and the image is left out.
        seed: of the initial weights, the order of the batches and the shifts.

    Returns:
        params: nested dict of float32 NumPy arrays.

    Raises:
        DataError: the images are not of that form, or there are no labels of two classes.
    """
    images, labels = _checked(images, labels)
    labelled = np.flatnonzero(labels >= 0)
    num_classes = int(labels.max()) + 1
    steps = int(np.clip(_EPOCHS * len(labelled) // _BATCH, _MIN_STEPS, _MAX_STEPS))
    key = jax.random.key(seed)
    params, opt_state = _init(key, images.shape[1:], num_classes, steps)
    rng = np.random.default_rng(seed)
    epochs = -(-steps * _BATCH // len(labelled))
    order = np.concatenate([rng.permutation(labelled) for _ in range(epochs)])
    for step in range(steps):
        batch = order[step * _BATCH : (step + 1) * _BATCH]
        x, y = _to_unit(images[batch]), labels[batch]
        params, opt_state = _train_step(params, opt_state, key, step, x, y, num_classes, steps)
    return jax.device_get(params)


def features(params: Any, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Penultimate features of images.

    Args:
        params: from `train_classifier`.
        images: [N, H, W, C], float in [-1, 1] (values outside are clipped) or uint8.
        batch_size: images at once; the features depend on it by rounding only.

    Returns:
        float32 [N, 64].

    Raises:
        ValueError: an image is not finite.
    """
    return _forward(params, images, batch_size)[0]


def accuracy(params: Any, images: np.ndarray, labels: np.ndarray) -> float:
    """Fraction in [0, 1] of images whose largest logit is their label.

    Args:
        params: from `train_classifier`.
        images: as for `features`.
        labels: int [N].
    """
    logits = _forward(params, images, 500)[1]
    return float(np.mean(logits.argmax(axis=1) == np.asarray(labels)))


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
    images, labels = _checked(images, labels)
    digest = _digest({"images": images, "labels": labels, "version": np.array(VERSION)})
    if cache_dir is None:
        cache_dir = os.environ.get("EBM_JAX_CACHE") or Path.home() / ".cache" / "ebm_jax"
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
    """Fréchet distance of samples to the full training split, in the classifier's features.

    Args:
        classifier: from `classifier_for`.
        images: samples [N, H, W, C], float in [-1, 1] (values outside are clipped), N >= 65.

    Returns:
        The distance, to be named `protocol(N)`.

    Raises:
        ConfigError: too few samples for a covariance of full rank.
        DataError: the samples do not have the training images' shape.
        ValueError: a sample is not finite.
    """
    images = np.asarray(images)
    if images.shape[1:] != classifier.image_shape:
        raise DataError(
            f"fd_classifier was trained on images of shape {classifier.image_shape}, but the "
            f"samples have shape {images.shape[1:]}; use the classifier of the samples' data set."
        )
    if len(images) < FEATURE_WIDTH + 1:
        raise ConfigError(
            f"fd_classifier needs at least {FEATURE_WIDTH + 1} samples for a covariance of its "
            f"{FEATURE_WIDTH} features, but got {len(images)}; draw more samples."
        )
    return frechet_distance(moments(features(classifier.params, images)), classifier.reference)


def _checked(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim != 4 or labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        raise DataError(
            "fd_classifier needs images [N, H, W, C] and integer labels [N], but the shapes are "
            f"{images.shape} and {labels.shape}, the labels {labels.dtype}."
        )
    labels = labels.astype(np.int64)  # one digest for every integer type
    classes = np.unique(labels[labels >= 0])
    if len(classes) < 2:
        raise DataError(
            "fd_classifier needs labels of at least 2 classes, but the data set has "
            f"{len(classes)}; drop this metric for it."
        )
    # The data itself is never out of range, so here, unlike for samples, clipping would hide a bug.
    low, high = images.min(), images.max()
    in_range = images.dtype.kind == "f" and low >= -1.001 and high <= 1.001
    if not (images.dtype == np.uint8 or in_range):
        raise DataError(
            "fd_classifier needs training images in uint8 or float in [-1, 1], but they are "
            f"{images.dtype} in [{low:g}, {high:g}]; rescale them."
        )
    return images, labels


def _to_unit(images: np.ndarray) -> np.ndarray:
    """Float32 images in [-1, 1] from uint8 or float ones."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 127.5 - 1.0
    if not np.isfinite(images).all():
        # Clipping would turn an infinite pixel into a white one.
        raise ValueError("Images must be finite, but some hold NaN or infinity.")
    return np.clip(images.astype(np.float32), -1.0, 1.0)


def _optimizer(steps: int) -> optax.GradientTransformation:
    schedule = optax.warmup_cosine_decay_schedule(0.0, _PEAK_LEARNING_RATE, steps // 20, steps)
    return optax.adamw(schedule, weight_decay=_WEIGHT_DECAY)


@partial(jax.jit, static_argnames=("image_shape", "num_classes", "steps"))
def _init(key, image_shape, num_classes, steps):
    params = Network(num_classes).init(key, jnp.zeros((1, *image_shape)))["params"]
    return params, _optimizer(steps).init(params)


@partial(jax.jit, static_argnames=("num_classes", "steps"))
def _train_step(params, opt_state, key, step, x, y, num_classes, steps):
    """One AdamW step on the cross entropy of x [B, H, W, C] in [-1, 1], labels y [B]."""
    x = _shift(jax.random.fold_in(key, step), x)

    def loss(params):
        _, logits = Network(num_classes).apply({"params": params}, x)
        targets = optax.smooth_labels(jax.nn.one_hot(y, num_classes), _LABEL_SMOOTHING)  # [B, K]
        return optax.softmax_cross_entropy(logits, targets).mean()

    updates, opt_state = _optimizer(steps).update(jax.grad(loss)(params), opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def _shift(key: jax.Array, x: jax.Array) -> jax.Array:
    """Moves each image by up to H/14 pixels: 2 for MNIST, none for 8-pixel digits."""
    reach = min(x.shape[1:3]) // 14
    if reach == 0:
        return x
    padded = jnp.pad(x, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    offsets = jax.random.randint(key, (x.shape[0], 2), 0, 2 * reach + 1)  # [B, 2]
    crop = partial(jax.lax.dynamic_slice, slice_sizes=x.shape[1:])
    return jax.vmap(lambda image, at: crop(image, (at[0], at[1], 0)))(padded, offsets)


@partial(jax.jit, static_argnames="num_classes")
def _apply(params, x, num_classes):
    return Network(num_classes).apply({"params": params}, x)


def _forward(params: Any, images: np.ndarray, batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, 64] and logits [N, K], one compilation for every N."""
    num_classes = len(params["Dense_1"]["bias"])
    outputs = [(np.zeros((0, FEATURE_WIDTH), np.float32), np.zeros((0, num_classes), np.float32))]
    for start in range(0, len(images), batch_size):
        x = _to_unit(images[start : start + batch_size])
        padding = ((0, batch_size - len(x)), (0, 0), (0, 0), (0, 0))
        both = jax.device_get(_apply(params, np.pad(x, padding), num_classes))
        outputs.append(tuple(part[: len(x)] for part in both))
    return tuple(np.concatenate(parts) for parts in zip(*outputs, strict=True))


def _digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()[:16]


def _save(path: Path, classifier: Classifier) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex}.tmp")
    arrays = {f"params/{k}": v for k, v in flatten_dict(classifier.params, sep="/").items()}
    arrays |= {**classifier.reference._asdict(), "fingerprint": classifier.fingerprint}
    try:
        with open(temporary, "xb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
