"""Task `hierarchy`: what does each layer of the latents decide?

Samples of the prior have one layer, or a block of layers, replaced by that of other samples, in
u-space, so that the layers below follow (CVPR 2023 and ICCV 2023, hierarchical sampling). The share
of images whose class changes says how much of it the layer holds.
"""

import jax
import numpy as np

from ebm_jax.evaluation.classifier import predict
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.generation import is_judged, judge_of
from ebm_jax.evaluation.latents import check_layers, decoded, drawn
from ebm_jax.evaluation.wording import prior_words, weights_words
from ebm_jax.reporting.grids import image_grid, save_png

_SHOWN = 8  # rows, each a sample; and columns, each with another layer
_CHANGE, _DISTANCE = "label_change", "mse"


def run(context: Context) -> dict:
    """Change of class and mean squared change of pixels for every layer and block of layers.

    Raises:
      ConfigError: the method has no layers of latents.
    """
    method, config = context.method, context.config
    check_layers(context, "hierarchy")
    num_layers = len(config.model.latent_sizes)
    count = config.eval.hierarchy_samples
    u = drawn(context, "hierarchy", 2 * count)
    kept, others = (
        jax.tree.map(lambda x, s=s: x[s], u) for s in (slice(count), slice(count, None))
    )
    judged = is_judged(context.train_set)
    judge = judge_of(context) if judged else None
    low, high = config.data.range

    def images_of(replaced: set[int]) -> np.ndarray:
        return decoded(
            context, tuple((others if i in replaced else kept)[i] for i in range(num_layers))
        )

    original = images_of(set())
    labels = predict(judge.params, original) if judged else None
    changes: dict[str, dict[str, float]] = {}
    for name, replaced in blocks(num_layers).items():
        images = images_of(replaced)
        changes[name] = {_DISTANCE: float(np.mean(((images - original) / (high - low)) ** 2))}
        if judged:
            changes[name][_CHANGE] = float(np.mean(predict(judge.params, images) != labels))
    metric = _CHANGE if judged else _DISTANCE
    figures = {}
    for i in range(num_layers):
        file = f"hierarchy_layer_{i + 1}.png"
        save_png(context.folder / file, _grid(context, kept, others, i))
        figures[file] = (
            f"Layer {i + 1} of {num_layers} (1 = bottom) from other samples: one sample a row, "
            "itself in the first column."
        )
    return {
        "metric": metric if judged else "change",  # an error's name would promise that less is more
        "results": {name: found[metric] for name, found in changes.items()},
        "layers": changes,
        "num_samples": count,
        "protocol": (
            f"{count} samples, in each of which layers are replaced in u-space by those of another "
            "sample (layer 1 is next to the image); label_change: share of images whose class by "
            "the data set's own classifier changes; mse: mean squared change of pixels in [0, 1]; "
            f"decoder mean, {weights_words(config)}{prior_words(config, method)}"
        ),
        "figures": figures,
    }


def blocks(num_layers: int) -> dict[str, set[int]]:
    """{name: replaced layers, 0 = bottom}: single layers, the lowest k, the highest k, all."""
    single = {f"layer_{i + 1}": {i} for i in range(num_layers)}
    lowest = {f"lowest_{k}": set(range(k)) for k in range(2, num_layers)}
    highest = {f"highest_{k}": set(range(num_layers - k, num_layers)) for k in range(2, num_layers)}
    everything = {"all_layers": set(range(num_layers))} if num_layers > 1 else {}
    return single | lowest | highest | everything


def _grid(context, kept, others, layer) -> np.ndarray:
    """A sample a row, with its own `layer` first and then with those of other samples."""
    rows, columns = (min(_SHOWN, len(z[0])) for z in (kept, others))
    u = [np.repeat(z[:rows], columns + 1, axis=0) for z in kept]
    for row in range(rows):
        start = row * (columns + 1)
        u[layer][start + 1 : start + 1 + columns] = others[layer][:columns]
    value_range = tuple(context.config.data.range)
    return image_grid(decoded(context, tuple(u)), columns=columns + 1, value_range=value_range)
