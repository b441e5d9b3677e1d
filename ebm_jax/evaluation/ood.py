"""Task `ood`: are images of another data set told from those of the evaluation split?

Scores by the depth of the latents that are kept (Havtorn et al., ICML 2021; with energies CVPR
2023): L^{>k} draws layers 1 … k from p(z_{≤k} | z_{>k}) in place of the posterior, and
LLR^{>k} = L^{>0} − L^{>k} is what the lower layers add. Higher = out of distribution.
"""

import re

import ml_collections
import numpy as np

from ebm_jax import data
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.detection import measure
from ebm_jax.evaluation.scoring import draws_words, score_terms, scored, total
from ebm_jax.evaluation.wording import redraw_words
from ebm_jax.reporting.charts import plot_bars, plot_histogram_panels


def run(context: Context) -> dict:
    """AUROC and AUPRC of −L^{>k} and LLR^{>k} for every k, with equal and with natural numbers."""
    config = context.config
    outside = open_outside(config)
    inside = context.eval_set
    examples = scored(context, inside, outside)
    sizes = [len(index) for index in examples]
    layers = range(len(config.model.latent_sizes))
    sides = []
    for name, dataset, index in zip(("in", "out"), (inside, outside), examples, strict=True):
        bounds = [total(score_terms(context, "ood", dataset, name, index, k)) for k in layers]
        sides.append(depth_scores(bounds))
    natural = _measured(context, *sides)
    least = min(sizes)
    rng = np.random.default_rng(config.seed)
    chosen = [np.sort(rng.permutation(size)[:least]) for size in sizes]  # all of the smaller side
    equal = _measured(
        context,
        *(
            {name: values[index] for name, values in side.items()}
            for side, index in zip(sides, chosen, strict=True)
        ),
    )
    _draw(context, outside.name, sides, equal)
    shards.remove(context, "ood")
    return {
        "metric": "auroc",
        "results": {name: found["auroc"] for name, found in equal.items()},
        "equal_numbers": equal,
        "natural_numbers": natural,
        "prevalence": {"equal_numbers": 0.5, "natural_numbers": sizes[1] / sum(sizes)},
        "num_samples": sum(sizes),
        "num_in": sizes[0],
        "num_out": sizes[1],
        "num_each_of_equal_numbers": least,
        "ood_data": outside.name,
        "protocol": (
            f"in: {sizes[0]} images of {inside.name} {inside.split}, out: {sizes[1]} of "
            f"{outside.name} {outside.split} (centre square, the model's size); equal "
            f"numbers: {least} of each; scores −L^{{>k}} and LLR^{{>k}} = L^{{>0}} − L^{{>k}}, "
            f"higher = out of distribution; layers up to k {redraw_words(config)}; "
            f"{draws_words(config)}; 95 % intervals of {config.eval.bootstrap} stratified "
            "bootstrap resamples; averaged weights"
        ),
        "figures": {
            "ood_detection.png": f"{inside.name} (in) against {outside.name} (out), equal numbers, "
            "with 95 % intervals; the line is chance.",
            "ood_scores.png": "The scores of both sides; the outermost half per cent on either "
            "side is not drawn.",
        },
    }


def open_outside(config: ml_collections.ConfigDict) -> data.Dataset:
    """The images of `eval.ood_data`, brought to the model's size; channels are not converted.

    A grey image in colour is told from any photograph by its equal channels alone, and a colour
    image in grey is another image: neither would say anything of the model.

    Raises:
      ConfigError: `eval.ood_data` is the data set the model was trained on.
      DataError: there is no such data set, or its images have other channels than the model's.
    """
    name, split = config.eval.ood_data, config.eval.ood_split
    if name == config.data.name:
        raise ConfigError(
            f"eval.ood_data is '{name}', the data set of the model itself; name another."
        )
    fields = {"name": name, "crop": 0, "classes": None, "held_out_class": None}
    other = ml_collections.ConfigDict(config.data.to_dict() | fields)
    try:
        return data.open_dataset(other, split)
    except DataError as error:
        raise DataError(
            f"eval.ood_data is '{name}', for a model of {config.data.channels}-channel images: "
            f"{_advice(str(error))}"
        ) from error


def _advice(message: str) -> str:
    """A data set's error as one of this setting: the model's own channels cannot change."""
    message = re.sub(r"set data\.channels=\d+, or ", "", message)
    return message.replace("data.name", "eval.ood_data")


def depth_scores(bounds: list[np.ndarray]) -> dict[str, np.ndarray]:
    """{name: scores [N]}, higher = out of distribution: −L^{>k}, then LLR^{>k} for k ≥ 1.

    Args:
      bounds: L^{>k} [N] for k = 0 … L − 1.
    """
    scores = {f"-L>{k}": -bound for k, bound in enumerate(bounds)}
    return scores | {f"LLR>{k}": bounds[0] - bounds[k] for k in range(1, len(bounds))}


def _measured(context, inside, outside):
    labels = np.concatenate(
        [np.full(len(next(iter(side.values()))), y) for y, side in enumerate((inside, outside))]
    )
    eval_config = context.config.eval
    return {
        name: measure(
            np.concatenate([inside[name], outside[name]]),
            labels,
            num_resamples=eval_config.bootstrap,
            seed=context.config.seed,
        )
        for name in inside
    }


def _words(name: str) -> str:
    """`-L>1` as mathematics for matplotlib."""
    symbol, _, k = name.partition(">")
    return f"${symbol}^{{>{k}}}$" if symbol == "-L" else f"$\\mathrm{{LLR}}^{{>{k}}}$"


def _short(name: str) -> str:
    """The last part of npz:PATH and folder:PATH: enough for a figure."""
    return name.rpartition("/")[2] if name.startswith(("npz:", "folder:")) else name


def _draw(context, outside_name, sides, found):
    inside, outside = _short(context.eval_set.name), _short(outside_name)
    plot_bars(
        context.folder / "ood_detection.png",
        {
            metric.upper(): {
                _words(name): tuple(row[f"{metric}{end}"] for end in ("", "_low", "_high"))
                for name, row in found.items()
            }
            for metric in ("auroc", "auprc")
        },
        chance=0.5,
        title=f"{outside} (out) against {inside} (in)",
    )
    plot_histogram_panels(
        context.folder / "ood_scores.png",
        {
            _words(name): {
                f"{inside} (in)": sides[0][name],
                f"{outside} (out)": sides[1][name],
            }
            for name in found
        },
        central=0.99,
    )
