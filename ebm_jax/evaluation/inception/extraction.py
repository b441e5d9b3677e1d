"""Images to Inception features, on all devices."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax import parallel
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.inception.network import SIDE, Inception
from ebm_jax.evaluation.inception.resizing import check_resize, resize_matrix
from ebm_jax.evaluation.inception.weights import load_weights

_CPU_BATCH, _ACCELERATOR_BATCH = 16, 128  # the latter per device


class Extractor(NamedTuple):
    """A network with its weights, ready for images.

    Attributes:
      taps: keys of TAPS.
      resize: key of MODES.
      fingerprint: digest of the weights of these taps.
      params: {layer: {"kernel", "bias"}} on the device.
      batch_size: images at once; features depend on it by rounding only.
    """

    taps: tuple[str, ...]
    resize: str
    fingerprint: str
    params: dict
    batch_size: int

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Features of images.

        Args:
          images: uint8 [N, H, W, C] with C = 3 (RGB), or 1 (grey, repeated); or the result of
            `resizing.resize`, float32 [N, 299, 299, C].

        Returns:
          {tap: float32 [N, width]}.

        Raises:
          DataError: the images are of another form.
        """
        images = np.asarray(images)
        resized = images.dtype == np.float32 and images.shape[1:3] == (SIDE, SIDE)
        right_type = images.dtype == np.uint8 or resized
        if images.ndim != 4 or not right_type or images.shape[-1] not in (1, 3):
            raise DataError(
                f"Inception takes uint8 images [N, H, W, 1 or 3], but these are {images.dtype} "
                f"{images.shape}; convert them first."
            )
        if not len(images):
            raise DataError("there are no images to take Inception features of; give at least 1.")
        run = _compiled(self.taps, self.resize)
        batches = []
        for start in range(0, len(images), self.batch_size):
            batch = images[start : start + self.batch_size]
            pad = ((0, self.batch_size - len(batch)), (0, 0), (0, 0), (0, 0))  # one compilation
            found = run(self.params, np.pad(batch, pad))
            batches.append({tap: np.asarray(found[tap])[: len(batch)] for tap in self.taps})
        return {tap: np.concatenate([batch[tap] for batch in batches]) for tap in self.taps}


def open_extractor(
    taps: Sequence[str],
    resize: str = "clean",
    weights: str | Path | None = None,
    batch_size: int | None = None,
) -> Extractor:
    """The network with the weights found for a path (see `weights.find_weights`).

    Args:
      taps: keys of TAPS.
      resize: key of MODES.
      weights: the file, or None for the environment's or the cache's.
      batch_size: images at once; by default 16 on a CPU and 128 per device elsewhere.

    Raises:
      ConfigError: unknown tap or resize mode, or a batch size below 1.
      DataError: the weights are missing, unreadable or lack a layer of a tap.
    """
    check_resize(resize)
    if batch_size is None:
        on_cpu = jax.default_backend() == "cpu"
        batch_size = _CPU_BATCH if on_cpu else _ACCELERATOR_BATCH * jax.device_count()
    if batch_size < 1:
        raise ConfigError(f"the batch size of Inception is {batch_size}; it must be at least 1.")
    found = load_weights(tuple(taps), weights)
    return Extractor(
        tuple(taps), resize, found.fingerprint, jax.device_put(found.params), batch_size
    )


def to_input(images: jax.Array, resize: str) -> jax.Array:
    """The network's input: resized to 299 × 299, three channels, scaled as in the 2015 graph.

    That is (x − 128) / 128, in TensorFlow, clean-fid and torch-fidelity alike; pytorch-fid feeds
    2 x / 255 − 1 instead, up to 0.008 more.

    Args:
      images: uint8 [B, H, W, 1 or 3].
      resize: key of MODES.

    Returns:
      float32 [B, 299, 299, 3].
    """
    x = images.astype(jnp.float32)
    rows, columns = (jnp.asarray(resize_matrix(n, SIDE, resize)) for n in x.shape[1:3])
    x = jnp.einsum("bhwc,qw->bhqc", x, columns, precision="highest")
    x = jnp.einsum("bhqc,ph->bpqc", x, rows, precision="highest")
    x = jnp.clip(x, 0.0, 255.0)  # bicubic weights overshoot
    return (jnp.broadcast_to(x, (*x.shape[:3], 3)) - 128.0) / 128.0


@functools.cache
def _compiled(taps: tuple[str, ...], resize: str):
    def features(params, images):
        # FID is defined in single precision: no TF32 or bfloat16 products where a device has them.
        with jax.default_matmul_precision("highest"):
            return Inception(taps).apply({"params": params}, to_input(images, resize))

    if jax.device_count() == 1:
        return jax.jit(features)  # the weights stay where they are
    return parallel.over_examples(features, in_axes=(None, 0), out_axes=0)
