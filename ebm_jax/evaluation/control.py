"""Task `control`: have samples the attributes that were asked for? (ICML 2024)

Each attribute is asked for alone, then all together, then each in its own layers alone while other
samples' keep the rest. What an image has is read from it without the model: the class by the data
set's own classifier, stroke thickness and slant by measuring them.
"""

import itertools
from typing import Any

import jax
import numpy as np

from ebm_jax import data
from ebm_jax.data.attributes import ANY
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.chunks import padded
from ebm_jax.evaluation.classifier import predict
from ebm_jax.evaluation.context import Context, images_of, task_key
from ebm_jax.evaluation.generation import distance, is_judged, judge_of
from ebm_jax.evaluation.wording import request_words, weights_words
from ebm_jax.measures import MEASURES
from ebm_jax.reporting.grids import image_grid, save_png

_UNREADABLE = -2  # what is read from an image of a chain that has blown up
_COLUMNS = 10
_MOST_ROWS = 10


def run(context: Context) -> dict:
    """The share of samples with the values asked for."""
    config = context.config
    attributes = data.attributes.configured(config.data)
    check(config, context.train_set)
    count, names = config.eval.control_samples, [name for name, _ in attributes]
    judge = judge_of(context) if is_judged(context.train_set) else None
    results, details, figures = {}, {}, {}
    asked = requests(attributes, count, config.seed)
    for name, values in asked.items():
        images, _ = sampled(context, name, values)
        right = _read(context, judge, images) == values
        wanted = (values != ANY).all(0)
        results[name] = float(right[:, wanted].all(1).mean())
        details[name] = {
            "each": {names[a]: float(right[:, a].mean()) for a in np.flatnonzero(wanted)},
            "fd_classifier": distance(judge, [images], tuple(config.data.range)) if judge else None,
        }
    for a, layers in moved_layers(config).items():
        name = f"{names[a]}_in_its_layers"
        results[name], details[name], figure = _in_layers(context, judge, attributes, a, layers)
        figures |= figure
    figures |= _draw(context, attributes)
    words = "alone, then all at once" if len(names) > 1 else "alone"
    return {
        "metric": "accuracy",
        "results": results,
        "requests": details,
        "read_from_test_images": _readers(context, judge, attributes),
        "edges": {name: list(cuts) for name, cuts in zip(names, _edges(config), strict=True)},
        "num_samples": count,
        "protocol": (
            f"{count} samples of each request, values in equal numbers: {', '.join(names)} {words}"
            "; what an image has is read without the model, the class by the data set's own "
            "classifier, thickness and slant by measurement, cut at quantiles of the training "
            "images; in_its_layers: other samples keep all layers but the attribute's, kept: "
            f"share whose other attributes stay; guidance {config.eval.guidance:g}"
            f"{request_words(config, context.method)}; decoder mean, {weights_words(config)}"
        ),
        "figures": figures,
    }


def check(config: Any, dataset: Any) -> None:
    """Before training: whether images can be read.

    Raises:
      ConfigError: no attributes are named, or one cannot be read from images of this kind.
    """
    attributes = data.attributes.configured(config.data)
    if not attributes:
        raise ConfigError(
            "eval.tasks names control, but data.attributes is (); name what samples are asked for."
        )
    if not config.eval.control_samples > 0:
        raise ConfigError(
            f"eval.control_samples is {config.eval.control_samples}; it must be positive."
        )
    for name, _ in attributes:
        readable = is_judged(dataset) if name == "class" else name in MEASURES
        if not readable:
            raise ConfigError(
                f"eval.tasks names control, but '{name}' cannot be read from images of "
                f"{dataset.name}; of grey images class (with labels), thickness and slant can be: "
                "use these attributes, or leave the task out."
            )


def requests(attributes, count: int, seed: int) -> dict[str, np.ndarray]:
    """{name: int32 [count, A]}: each attribute alone, and all `jointly`."""
    found = {}
    for a, (name, size) in enumerate(attributes):
        found[name] = np.full((count, len(attributes)), ANY, np.int32)
        found[name][:, a] = np.arange(count) % size
    if len(attributes) > 1:
        rng = np.random.default_rng(seed)
        columns = [rng.permutation(np.arange(count) % size) for _, size in attributes]
        found["jointly"] = np.stack(columns, axis=1).astype(np.int32)
    return found


def moved_layers(config: Any) -> dict[int, tuple[int, ...]]:
    """{attribute: its layers, 0 = bottom}, of those that are not coupled with all layers."""
    layers = enumerate(config.coupling.layers)
    total = len(config.model.latent_sizes)
    return {a: tuple(sorted(i - 1 for i in of)) for a, of in layers if 0 < len(of) < total}


def sampled(context: Context, name: str, values: np.ndarray, index=None, kept=None, moved=None):
    """(images, latents) of requests int32 [n, A], in chunks of `eval.batch_size`."""
    config, key = context.config, task_key(context, f"control/{name}")
    count = len(values)
    size = min(config.eval.batch_size, count)
    index = np.arange(count) if index is None else index
    parts = []
    for start in range(0, count, size):
        context.poll()
        rows = padded(start, size, count)
        chosen = None if kept is None else jax.tree.map(lambda z, rows=rows: z[rows], kept)
        found = context.method.control.request(
            *(context.state, key, index[rows].astype(np.int32), values[rows]),
            config.eval.guidance,
            chosen,
            moved,
        )
        parts.append(jax.tree.map(lambda x, start=start: x[: count - start], jax.device_get(found)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _in_layers(context, judge, attributes, a, layers):
    """(accuracy of one attribute drawn in its layers alone, how much of the rest stays, figure)."""
    name, size = attributes[a]
    count = context.config.eval.control_samples
    anything = np.full((count, len(attributes)), ANY, np.int32)
    before, z = sampled(context, f"{name}/kept", anything)
    values = anything.copy()
    values[:, a] = np.arange(count) % size
    after, _ = sampled(context, f"{name}/moved", values, kept=z, moved=layers)
    was, now = (_read(context, judge, images) for images in (before, after))
    others = [b for b in range(len(attributes)) if b != a]
    same = (was == now) & (was != _UNREADABLE)
    kept = {attributes[b][0]: float(same[:, b].mean()) for b in others}
    accuracy = float((now[:, a] == values[:, a]).mean())
    change = {"layers": [i + 1 for i in layers], "kept": kept}
    file = f"control_{name}_in_its_layers.png"
    rows = min(_MOST_ROWS, count)
    shown = [before[:rows]]
    first = jax.tree.map(lambda leaf: leaf[:rows], z)
    for value in range(size):
        values = np.full((rows, len(attributes)), ANY, np.int32)
        values[:, a] = value
        shown.append(sampled(context, f"{name}/moved", values, kept=first, moved=layers)[0])
    grid = np.stack(shown, axis=1).reshape(-1, *before.shape[1:])
    save_png(context.folder / file, _grid(context, grid, size + 1))
    told = ", ".join(str(i + 1) for i in layers)
    caption = f"A sample a row, then with each {name} asked of its layers {told}, the rest kept."
    return accuracy, change, {file: caption}


def _draw(context, attributes) -> dict[str, str]:
    """Grids of each attribute alone and of all together; returns {file: caption}."""
    figures = {}
    num = len(attributes)
    for a, (name, size) in enumerate(attributes):
        rows = min(size, _MOST_ROWS)
        values = np.full((rows * _COLUMNS, num), ANY, np.int32)
        values[:, a] = np.repeat(np.arange(rows), _COLUMNS)
        file = f"control_{name}.png"
        images, _ = sampled(context, f"{name}/grid", values, index=_columns(rows, _COLUMNS))
        save_png(context.folder / file, _grid(context, images, _COLUMNS))
        figures[file] = f"A value of {name} a row, from 0; the same noise in each column."
    if num > 1:
        rows = min(attributes[0][1], _MOST_ROWS)
        rest = list(itertools.product(*(range(size) for _, size in attributes[1:])))[:_COLUMNS]
        values = np.array([(row, *others) for row in range(rows) for others in rest], np.int32)
        images, _ = sampled(context, "jointly/grid", values, index=np.arange(len(values)))
        save_png(context.folder / "control_jointly.png", _grid(context, images, len(rest)))
        others = " and ".join(name for name, _ in attributes[1:])
        figures["control_jointly.png"] = (
            f"All together: a value of {attributes[0][0]} a row, in the columns those of {others}, "
            "the last one fastest."
        )
    return figures


def _columns(rows, columns):
    return np.tile(np.arange(columns), rows)


def _grid(context, images, columns):
    return image_grid(images, columns=columns, value_range=tuple(context.config.data.range))


def _edges(config):
    return tuple(map(tuple, config.data.attribute_edges))


def _read(context, judge, images) -> np.ndarray:
    """The attributes of images [n, H, W, C] in the data's range, int [n, A]; −2 if not finite."""
    config = context.config
    pixels = data.to_uint8(np.nan_to_num(images), config.data.range)
    columns = []
    for (name, _), cuts in zip(
        data.attributes.configured(config.data), _edges(config), strict=True
    ):
        if name == "class":
            columns.append(predict(judge.params, np.nan_to_num(images)))
        else:
            columns.append(np.digitize(data.attributes.measured(name, pixels), cuts))
    finite = np.isfinite(images).all((1, 2, 3))
    return np.where(finite[:, None], np.stack(columns, axis=1), _UNREADABLE)


def _readers(context, judge, attributes) -> dict[str, dict[str, float]]:
    """On test images: how often the coupling's p(y|z), z of q, is right, and the classifier."""
    config, dataset = context.config, context.eval_set
    order = np.random.default_rng(0).permutation(dataset.num_examples)
    examples = np.sort(order[: config.eval.control_samples])
    count = len(examples)
    size = min(config.eval.batch_size, count)
    key = task_key(context, "control/test")
    values = data.attributes.values_of(dataset, attributes, _edges(config))[examples]
    told: list[Any] = []
    seen = []
    for start in range(0, count, size):
        context.poll()
        images, index = images_of(context, dataset, examples, start, size)
        log_probs = context.method.control.log_probs(context.state, images, key, index)
        told.append(np.stack([np.argmax(each, axis=1) for each in log_probs], 1)[: count - start])
        seen.append(_read(context, judge, images)[: count - start])
    found = {"coupling": np.concatenate(told), "reader": np.concatenate(seen)}
    return {
        who: {
            name: float((read[:, a] == values[:, a]).mean())
            for a, (name, _) in enumerate(attributes)
        }
        for who, read in found.items()
    }
