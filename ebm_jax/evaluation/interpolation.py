"""Task `interpolation`: images on the way from one test image to another, through the latents.

Latents are inferred, taken to u-space, where layers are independent and standard normal under p_β,
and moved along great circles, so that points on the way are as typical as their ends.
"""

import jax
import numpy as np

from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.latents import check_layers, decoded, flat, inferred
from ebm_jax.evaluation.wording import posterior_words, weights_words
from ebm_jax.reporting.grids import image_grid, save_png

_PLACES = np.linspace(0.0, 1.0, 9)
_SHOWN = 8  # rows of the figure
_PAIRS = 100  # behind the number


def run(context: Context) -> dict:
    """How evenly images change on the way, and a grid.

    Raises:
      ConfigError: the method has no layers of latents.
    """
    check_layers(context, "interpolation")
    low, high = context.config.data.range
    pairs = min(_PAIRS, context.eval_set.num_examples // 2)
    z = inferred(context, context.eval_set, "interpolation", 2 * pairs)
    u = jax.device_get(context.method.maps.to_u(context.state, z))
    ways = tuple(spherical(layer[:pairs], layer[pairs:]) for layer in flat(u))
    shapes = [(-1, *layer.shape[1:]) for layer in u]  # the ways are [pairs, places, D_i]
    images = decoded(context, tuple(way.reshape(s) for way, s in zip(ways, shapes, strict=True)))
    rows = images.reshape(pairs, len(_PLACES), *images.shape[1:])
    steps = np.mean(((rows[:, 1:] - rows[:, :-1]) / (high - low)) ** 2, axis=(2, 3, 4))
    largest = steps.max(axis=1) / np.maximum(steps.mean(axis=1), 1e-12)
    shown = rows[:_SHOWN].reshape(-1, *images.shape[1:])
    pixels = image_grid(shown, columns=len(_PLACES), value_range=(low, high))
    save_png(context.folder / "interpolation.png", pixels)
    return {
        "metric": "largest_step",
        "results": {"interpolation": float(largest.mean())},
        "num_samples": pairs,
        "protocol": (
            f"{pairs} pairs of images of split {context.eval_set.split}, "
            f"{posterior_words(context.config)}, {len(_PLACES)} places on the great circle between "
            "their latents in u-space, layer by layer; largest_step: mean squared change of "
            "pixels of the largest step over that of the mean step (1 = all the same), mean over "
            f"pairs; decoder mean, {weights_words(context.config)}"
        ),
        "figures": {
            "interpolation.png": "From one test image (left, reconstructed) to another (right)."
        },
    }


def spherical(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Points on the way from `start` to `end`, both [N, D], along a great circle: [N, places, D].

    The direction turns evenly and the norm changes evenly; (anti)parallel ends are joined straight.
    """
    norms = [np.linalg.norm(u, axis=1, keepdims=True) for u in (start, end)]
    one, other = (u / np.maximum(norm, 1e-12) for u, norm in zip((start, end), norms, strict=True))
    angle = np.arccos(np.clip(np.sum(one * other, axis=1, keepdims=True), -1, 1))[:, None]
    place = _PLACES[:, None]
    sine = np.sin(angle)
    straight = sine < 1e-4
    weights = (1 - place, place)
    turned = (np.sin((1 - place) * angle), np.sin(place * angle))
    first, second = (
        np.where(straight, w, t / np.where(straight, 1.0, sine))
        for w, t in zip(weights, turned, strict=True)
    )
    direction = first * one[:, None] + second * other[:, None]
    length = (1 - place) * norms[0][:, None] + place * norms[1][:, None]
    return (length * direction).astype(np.float32)
