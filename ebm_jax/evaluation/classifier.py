"""The small classifier behind `fd_classifier`: network, training, features.

Three strided convolutions and 64 linear features, trained on the data set's labels with a fixed
seed, so that every run of a data set is compared in the same features.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from ebm_jax.compilation import jit_once
from ebm_jax.errors import DataError

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
    images, labels = check_training_set(images, labels)
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
    return float(np.mean(predict(params, images) == np.asarray(labels)))


def predict(params: Any, images: np.ndarray) -> np.ndarray:
    """The class of each image, int [N]; arguments as for `features`."""
    return _forward(params, images, 500)[1].argmax(axis=1)


def check_training_set(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The arrays as they are trained on, labels int64.

    Raises:
        DataError: wrong shapes or range, or labels of fewer than 2 classes.
    """
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


@partial(jit_once, static_argnames=("image_shape", "num_classes", "steps"))
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
