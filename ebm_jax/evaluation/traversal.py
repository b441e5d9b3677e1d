"""Task `traversal`: what every unit of every layer does to an image.

One sample's units are moved one at a time along a grid, in u-space, so that the layers below
follow (ICCV 2023, latent traversal). A few samples are rendered for the page's explorer too.
"""

import numpy as np

from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.explorer import BASES, write_explorer
from ebm_jax.evaluation.latents import check_layers, decoded, drawn, moved
from ebm_jax.evaluation.wording import prior_words, weights_words
from ebm_jax.reporting.grids import image_grid, save_png

_PLACES = np.linspace(-2.5, 2.5, 9, dtype=np.float32)  # standard deviations under p_β
_SHOWN = 24  # rows of a figure: the units that change the image most
_EXPLORED = 6  # units of a layer with a slider on the page
_UNITS = 256  # of a layer that are moved; of larger ones, so many evenly spaced


def run(context: Context) -> dict:
    """Mean squared change of pixels along each unit, a grid per layer, images for the explorer.

    Raises:
      ConfigError: the method has no layers of latents.
    """
    check_layers(context, "traversal")
    config = context.config
    low, high = config.data.range
    bases = drawn(context, "traversal", BASES)
    base = tuple(layer[:1] for layer in bases)
    units, results, figures, explored = {}, {}, {}, []
    for i, layer in enumerate(base):
        chosen = np.unique(np.linspace(0, layer.size - 1, min(_UNITS, layer.size)).astype(int))
        size = len(chosen)
        images = decoded(context, moved(base, i, chosen, _PLACES))
        images = images.reshape(size, len(_PLACES), *images.shape[1:])
        spread = ((images - images.mean(axis=1, keepdims=True)) / (high - low)) ** 2
        change = spread.mean(axis=(1, 2, 3, 4))  # [size]
        order = np.argsort(-change, kind="stable")[:_SHOWN]
        explored.append(chosen[order[:_EXPLORED]])
        name, file = f"layer_{i + 1}", f"traversal_layer_{i + 1}.png"
        units[name] = [float(value) for value in change]
        results[name] = float(change.mean())
        rows = images[order].reshape(-1, *images.shape[2:])
        pixels = image_grid(rows, columns=len(_PLACES), value_range=(low, high))
        save_png(context.folder / file, pixels)
        shown = f"the {len(order)} units that change it most" if size > _SHOWN else "every unit"
        shown += f" of {size}" if size < layer.size else ""
        figures[file] = (
            f"Layer {i + 1} of {len(base)} (1 = bottom): {shown}, one a row, from "
            f"{_PLACES[0]:g} to {_PLACES[-1]:g} standard deviations."
        )
    limit = f" ({_UNITS} of larger layers)" * any(layer.size > _UNITS for layer in base)
    return {
        "metric": "change",
        "results": results,
        "units": units,
        "num_samples": 1,
        "protocol": (
            f"one sample, each unit{limit} at {len(_PLACES)} places from {_PLACES[0]:g} to "
            f"{_PLACES[-1]:g} in u-space; mean squared deviation of pixels in [0, 1] from their "
            "mean along the unit, mean over a layer's units; decoder mean, "
            f"{weights_words(config)}"
            f"{prior_words(config, context.method)}"
        ),
        "figures": figures,
        "explorer": write_explorer(context, "traversal_explorer.png", bases, explored),
    }
