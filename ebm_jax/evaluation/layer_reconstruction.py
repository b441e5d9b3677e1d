"""Task `layer_reconstruction`: how much of an image do its upper layers hold?

The lowest layers inferred from an image are replaced by their means under p_β given the layers
above, and the rest is decoded.
"""

import jax
import numpy as np

from ebm_jax import data
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.latents import check_layers, decoded, inferred
from ebm_jax.evaluation.wording import posterior_words, weights_words
from ebm_jax.reporting.grids import image_grid, save_png

_SHOWN = 12  # columns of the figure


def run(context: Context) -> dict:
    """MSE on the evaluation split with all layers, with all but the lowest, … with the top alone.

    Raises:
      ConfigError: the method has no layers of latents.
    """
    check_layers(context, "layer_reconstruction")
    config, maps = context.config, context.method.maps
    low, high = config.data.range
    z = inferred(context, context.eval_set, "reconstruction", config.eval.num_reconstructions)
    count = len(z[0])
    originals = data.to_float(context.eval_set.fetch(np.arange(count))[0], config.data.range)
    u = jax.device_get(maps.to_u(context.state, z))
    results, rows = {}, [originals[:_SHOWN]]
    for k in range(len(u)):
        kept = tuple(np.zeros_like(layer) if i < k else layer for i, layer in enumerate(u))
        images = decoded(context, kept)
        name = "all_layers" if k == 0 else f"highest_{len(u) - k}"
        results[name] = float(np.mean(((images - originals) / (high - low)) ** 2))
        rows.append(images[:_SHOWN])
    pixels = image_grid(np.concatenate(rows), columns=len(rows[0]), value_range=(low, high))
    save_png(context.folder / "layer_reconstruction.png", pixels)
    return {
        "metric": "mse",
        "results": results,
        "num_samples": count,
        "protocol": (
            f"mean squared error per pixel, x in [0, 1], split {context.eval_set.split}, "
            f"{posterior_words(config)}; highest_k: all but the k highest layers at their means "
            f"under p_β given those above; decoder mean, {weights_words(config)}"
        ),
        "figures": {
            "layer_reconstruction.png": "Images; then from all layers; then from ever fewer of "
            "the highest, down to the top layer alone."
        },
    }
