"""Task `latent_scatter`: where prior and posterior chains go, layer by layer.

The EBM prior should tilt the Gaussian one towards the aggregate posterior (CVPR 2023, toy models of
two 2-d layers). Layers of more latents are drawn in the posterior's two main directions.
"""

from typing import NamedTuple

import numpy as np

from ebm_jax.evaluation.classifier import predict
from ebm_jax.evaluation.context import Context, sample_chunks
from ebm_jax.evaluation.energy_distance import energy_distance
from ebm_jax.evaluation.generation import is_judged, judge_of
from ebm_jax.evaluation.latents import Layers, check_layers, finite, flat, inferred
from ebm_jax.evaluation.posteriors import Posterior, has_inference, inferring_by
from ebm_jax.evaluation.wording import posterior_words, prior_words, weights_words
from ebm_jax.methods import prior_steps
from ebm_jax.reporting.scatter import plot_scatter_grid

_KEPT = 3  # points of time along a chain


class Cloud(NamedTuple):
    """Latents of all layers at one point of time, and the classes of their images."""

    layers: Layers
    classes: np.ndarray


def run(context: Context) -> dict:
    """Energy distance of prior samples to the aggregate posterior, and a figure per layer.

    Raises:
      ConfigError: the method has no layers of latents.
    """
    check_layers(context, "latent_scatter")
    config = context.config
    target = _inferred(context, context, strict=True)
    prior, posterior = _prior(context), _posterior(context)
    results = {
        f"layer_{i + 1}/{kind}": _distance(prior[title].layers[i], target.layers[i])
        for i in range(len(target.layers))
        for kind, title in _kinds(context).items()
    }
    figures = {}
    for i in range(len(target.layers)):
        project = _projection(target.layers[i])
        rows = {
            name: {title: (project(c.layers[i]), c.classes) for title, c in clouds.items()}
            for name, clouds in (("prior", prior), ("posterior", posterior))
        }
        file = f"latent_scatter_layer_{i + 1}.png"
        plot_scatter_grid(context.folder / file, rows)
        size = target.layers[i].shape[1]
        directions = "" if size == 2 else f", two main directions of the posterior of {size}"
        figures[file] = (
            f"Layer {i + 1} of {len(target.layers)} (1 = bottom){directions}: prior chains (above) "
            "and posterior chains (below) after so many steps; colours are classes."
        )
    count = config.eval.hierarchy_samples
    return {
        "metric": "energy_distance",
        "results": results,
        "num_samples": count,
        "protocol": (
            f"energy distance between the z of {count} prior samples and the aggregate posterior "
            f"of {len(target.classes)} images of split {context.eval_set.split} "
            f"({posterior_words(config)}), every latent in units of the posterior's standard "
            "deviation; the classes of samples are those of the data set's own classifier; "
            f"{weights_words(config)}{prior_words(config, context.method)}"
        ),
        "figures": figures,
    }


_START = "Gaussian prior"


def _kinds(context: Context) -> dict[str, str]:
    """{kind of prior sample: title of its cloud}"""
    kinds = {"gaussian_prior": _START}
    if context.method.has_energy:
        kinds |= {"ebm_prior": _steps(prior_steps(context.config))}
        kinds |= {"long_chains": _steps(context.config.eval.long_chain_steps)}
    return kinds


def _steps(number: int) -> str:
    return f"{number} step{'s' if number > 1 else ''}"


def _prior(context: Context) -> dict[str, Cloud]:
    """Along the prior's chain: its start, on the way, its end, and the end of a long one."""
    clouds = {_START: _drawn(context, prior="gaussian")}
    if not context.method.has_energy:
        return clouds
    config = context.config
    lengths = _on_the_way(prior_steps(config)) + [config.eval.long_chain_steps]
    return clouds | {_steps(n): _drawn(context, prior="ebm", num_steps=n) for n in lengths}


def _posterior(context: Context) -> dict[str, Cloud]:
    """Along chains from N(0, I), after the first step and later; and q."""
    config = context.config
    lengths = [1, *_on_the_way(config.sampler.posterior.num_steps)]
    ways = [Posterior("normal", number) for number in dict.fromkeys(lengths)]
    if has_inference(context):
        ways.append(Posterior("inference", 0))
    return {
        _steps(way.num_steps) if way.num_steps else "q(z|x)": _inferred(
            context, context._replace(method=inferring_by(config, way))
        )
        for way in ways
    }


def _on_the_way(num_steps: int) -> list[int]:
    """_KEPT numbers of steps up to `num_steps`, evenly, each once."""
    return list(dict.fromkeys(max(num_steps * (i + 1) // _KEPT, 1) for i in range(_KEPT)))


def _drawn(context: Context, **options) -> Cloud:
    """Samples whose chains start from the same noise, whatever the options."""
    count = context.config.eval.hierarchy_samples
    size = min(context.config.eval.batch_size, count)
    chunks = list(sample_chunks(context, "latent_scatter", count, size, **options))
    layers = flat(
        tuple(np.concatenate(parts) for parts in zip(*(c.latents for c in chunks), strict=True))
    )
    images = np.concatenate([chunk.images for chunk in chunks])
    if is_judged(context.train_set):
        classes = predict(judge_of(context).params, np.nan_to_num(images))
        return Cloud(layers, np.where(finite(layers), classes, -1))
    return Cloud(layers, np.where(finite(layers), 0, -1))


def _inferred(context: Context, by: Context, strict: bool = False) -> Cloud:
    """Latents of the first images, by the method of `by`; class −1 where a chain diverged."""
    count = min(context.config.eval.hierarchy_samples, context.eval_set.num_examples)
    layers = flat(inferred(by, context.eval_set, "latent_scatter", count, strict=strict))
    labelled = is_judged(context.eval_set)
    classes = context.eval_set.labels[:count] if labelled else np.zeros(count, int)
    return Cloud(layers, np.where(finite(layers), classes, -1))


def _distance(samples: np.ndarray, target: np.ndarray) -> float:
    if not np.isfinite(samples).all():
        return float("nan")
    scale = np.maximum(target.std(axis=0), 1e-6)
    return energy_distance(samples / scale, target / scale)


def _projection(target: np.ndarray):
    """[N, D] → [N, 2]: as they are, or on the target's two main directions."""
    if target.shape[1] == 1:
        return lambda z: np.concatenate([z, np.zeros_like(z)], axis=1)
    if target.shape[1] == 2:
        return lambda z: z
    mean = target.mean(axis=0)
    directions = np.linalg.svd(target - mean, full_matrices=False)[2][:2]
    return lambda z: (z - mean) @ directions.T
