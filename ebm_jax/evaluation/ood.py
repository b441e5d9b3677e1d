"""Task `ood`: are images of other data sets told from those of the evaluation split?

Scores by the depth of the latents that are kept (Havtorn et al., ICML 2021; with energies CVPR
2023): L^{>k} draws layers 1 … k from p(z_{≤k} | z_{>k}) in place of the posterior, and
LLR^{>k} = L^{>0} − L^{>k} is what the lower layers add. Where each layer has an energy of its own,
F^{>k} = Σ_{i>k} f_i(z_i) gives a third score (ICML 2024). Higher = out of distribution.
"""

import re
from pathlib import Path

import ml_collections
import numpy as np

from ebm_jax import data
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.detection import measure
from ebm_jax.evaluation.scoring import draws_words, layer_terms, score_terms, scored, total
from ebm_jax.evaluation.wording import redraw_words, weights_words
from ebm_jax.reporting.charts import plot_bars, plot_histogram_panels


def run(context: Context) -> dict:
    """AUROC and AUPRC of each score for every k and set, equal and natural numbers."""
    config = context.config
    outsides = open_outsides(config)
    (ours,) = scored(context, context.eval_set)
    inside = _scores(context, context.eval_set, "in", ours)
    equal, natural, sets, figures = {}, {}, {}, {}
    for name, dataset in outsides.items():
        (theirs,) = scored(context, dataset)
        outside = _scores(context, dataset, f"out_{name}", theirs)
        least = min(len(ours), len(theirs))
        found = _measured(context, _drawn(config, inside, least), _drawn(config, outside, least))
        equal |= {f"{name}/{score}": row for score, row in found.items()}
        num_in, num_out = _natural(ours, theirs, context.eval_set, dataset)
        rest = _measured(context, _drawn(config, inside, num_in), _drawn(config, outside, num_out))
        natural |= {f"{name}/{score}": row for score, row in rest.items()}
        sets[name] = {
            "data": dataset.name,
            "num_in": len(ours),
            "num_out": len(theirs),
            "num_each_of_equal_numbers": least,
            "num_in_of_natural_numbers": num_in,
            "num_out_of_natural_numbers": num_out,
            "natural_prevalence": num_out / (num_in + num_out),
        }
        figures |= _draw(context, name, inside, outside, found, least)
    shards.remove(context, "ood")
    return {
        "metric": "auroc",
        "results": {name: row["auroc"] for name, row in equal.items()},
        "equal_numbers": equal,
        "natural_numbers": natural,
        "sets": sets,
        "num_samples": len(ours) + sum(found["num_out"] for found in sets.values()),
        "protocol": (
            f"in: {len(ours)} images of {context.eval_set.name} {context.eval_set.split}; out: "
            + ", ".join(f"{found['num_out']} of {found['data']}" for found in sets.values())
            + f", split {config.eval.ood_split} (centre square, the model's size); as many of "
            f"either as of the smaller side; {_score_words(context)}{draws_words(context)}; "
            f"95 % intervals of {config.eval.bootstrap} stratified bootstrap resamples; "
            f"{weights_words(config)}"
        ),
        "figures": figures,
    }


def open_outsides(config: ml_collections.ConfigDict) -> dict[str, data.Dataset]:
    """The sets of `eval.ood_data`, by names fit for files.

    Raises:
      ConfigError: none is named, one is that of the model itself, or two would have one name.
      DataError: see `_open`.
    """
    given = tuple(config.eval.ood_data)
    names = [re.sub("[^A-Za-z0-9_.-]", "_", _short(name)) for name in given]
    if not given:
        raise ConfigError("eval.ood_data is (), which names no data set; name one or more.")
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                f"eval.ood_data is {given}, of which two are called '{name}' in files; leave one "
                "out or rename it."
            )
    return {name: _open(config, data_name) for name, data_name in zip(names, given, strict=True)}


def _open(config: ml_collections.ConfigDict, name: str) -> data.Dataset:
    """One set's images, brought to the model's size; channels are not converted.

    A grey image in colour is told from any photograph by its equal channels alone, and a colour
    image in grey is another image: neither would say anything of the model.

    Raises:
      ConfigError: it is the data set the model was trained on.
      DataError: there is no such data set, or its images have other channels than the model's.
    """
    if name == config.data.name:
        raise ConfigError(
            f"eval.ood_data names '{name}', the data set of the model itself; name another."
        )
    fields = {"name": name, "crop": 0, "classes": None, "held_out_class": None}
    other = ml_collections.ConfigDict(config.data.to_dict() | fields)
    try:
        return data.open_dataset(other, config.eval.ood_split)
    except DataError as error:
        raise DataError(
            f"eval.ood_data names '{name}', for a model of {config.data.channels}-channel images: "
            f"{_advice(str(error))}"
        ) from error


def _short(name: str) -> str:
    """The last part of npz:PATH and folder:PATH: enough for a figure."""
    kind, _, path = name.partition(":")
    if kind not in ("npz", "folder"):
        return name
    last = Path(path).expanduser().resolve().name
    return last.replace(".npz", "", 1) if kind == "npz" else last


def _advice(message: str) -> str:
    """A data set's error as one of this setting: the model's own channels cannot change."""
    message = re.sub(r"set data\.channels=\d+, or ", "", message)
    return message.replace("data.name", "eval.ood_data")


def _score_words(context: Context) -> str:
    config = context.config
    if context.method.log_terms is None:
        return "score: the energy of the image, −log p but for its constant; "
    energies = ""
    if context.method.layer_terms is not None:
        energies = ", and −F^{>k} = −Σ_{i>k} f_i(z_i)"
    if len(config.model.latent_sizes) == 1:
        return f"score −L^{{>0}}{energies}, higher = out of distribution; "
    return (
        f"scores −L^{{>k}} and LLR^{{>k}} = L^{{>0}} − L^{{>k}}{energies}, higher = out of "
        f"distribution; layers up to k {redraw_words(config)} for L^{{>k}}; "
    )


def depth_scores(bounds: list[np.ndarray]) -> dict[str, np.ndarray]:
    """{name: scores [N]}, higher = out of distribution: −L^{>k}, then LLR^{>k} for k ≥ 1.

    Args:
      bounds: L^{>k} [N] for k = 0 … L − 1.
    """
    scores = {f"-L>{k}": -bound for k, bound in enumerate(bounds)}
    return scores | {f"LLR>{k}": bounds[0] - bounds[k] for k in range(1, len(bounds))}


def energy_scores(terms: list[np.ndarray]) -> dict[str, np.ndarray]:
    """{name: −F^{>k} [N]}, F^{>k} = Σ_{i>k} f_i, higher = out of distribution.

    Args:
      terms: f_i [N] of each layer, bottom first.
    """
    return {f"-F>{k}": -sum(terms[k:]) for k in range(len(terms))}


def _scores(context, dataset, name, examples):
    """{score: [n]} of a set's examples."""
    if context.method.log_terms is None:
        return {"energy": -total(score_terms(context, "ood", dataset, name, examples))}
    layers = range(len(context.config.model.latent_sizes))
    terms = (score_terms(context, "ood", dataset, name, examples, k) for k in layers)
    scores = depth_scores([total(found) for found in terms])
    if context.method.layer_terms is None:
        return scores
    return scores | energy_scores(layer_terms(context, "ood", dataset, name, examples))


def _natural(ours, theirs, inside, outside) -> tuple[int, int]:
    """The largest numbers of scored examples that are to each other as the splits are."""
    part = min(len(ours) / inside.num_examples, len(theirs) / outside.num_examples)
    return tuple(max(round(part * side.num_examples), 1) for side in (inside, outside))


def _drawn(config, scores, count):
    """`count` examples of one side, drawn by the run's seed; all where it has no more."""
    size = len(next(iter(scores.values())))
    chosen = np.sort(np.random.default_rng(config.seed).permutation(size)[:count])
    return {name: values[chosen] for name, values in scores.items()}


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
    if not k:
        return name
    return f"$\\mathrm{{LLR}}^{{>{k}}}$" if symbol == "LLR" else f"${symbol}^{{>{k}}}$"


def _draw(context, name, inside, outside, found, least):
    """Draws the areas and the histograms of one set; returns {file: caption}."""
    here = _short(context.eval_set.name)
    stem = f"ood_{name}"
    plot_bars(
        context.folder / f"{stem}_detection.png",
        {
            metric.upper(): {
                _words(score): tuple(row[f"{metric}{end}"] for end in ("", "_low", "_high"))
                for score, row in found.items()
            }
            for metric in ("auroc", "auprc")
        },
        chance=0.5,
        title=f"{name} (out) against {here} (in), {least} of each",
    )
    plot_histogram_panels(
        context.folder / f"{stem}_scores.png",
        {
            _words(score): {f"{here} (in)": inside[score], f"{name} (out)": outside[score]}
            for score in found
        },
        central=0.99,
    )
    return {
        f"{stem}_detection.png": f"{here} (in) against {name} (out), {least} of each, with 95 % "
        "intervals; the line is chance.",
        f"{stem}_scores.png": f"The scores of {here} (in) and {name} (out), higher = out of "
        "distribution; the outermost half per cent on either side is not drawn.",
    }
