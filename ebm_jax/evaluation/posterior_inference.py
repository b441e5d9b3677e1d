"""Task `posterior_inference`: what does each way to infer the latents of an image gain, and cost?

Compared are q(z|x), Langevin chains that start at q, and Langevin chains that start at N(0, I) (the
two ways of CVPR 2023, and between them the warm start), at every length of
`eval.posterior_lengths`.
"""

import math
import time
from typing import Any

import jax
import numpy as np

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context, images_of, task_key
from ebm_jax.evaluation.detection import auprc
from ebm_jax.evaluation.latents import check_layers
from ebm_jax.evaluation.posteriors import Posterior, has_inference, inferring_by
from ebm_jax.evaluation.scoring import scored
from ebm_jax.evaluation.wording import START_WORDS, chain_words, weights_words
from ebm_jax.reporting.charts import plot_profile_panels

_FAR = 1e6  # nats: a chain that gets there has diverged


def run(context: Context) -> dict:
    """log p(x, z), reconstruction, time, and detection where a class was held out.

    Raises:
      ConfigError: the method has no layers of latents, or no posterior with a density.
    """
    check_layers(context, "posterior_inference")
    config = context.config
    (examples,) = scored(context, context.eval_set)
    labels = None
    if config.data.held_out_class is not None:
        labels = (context.eval_set.labels[examples] == config.data.held_out_class).astype(int)
    found = {
        posterior: _measured(context, posterior, examples)
        for posterior in posteriors(config, has_inference(context))
    }
    table = {posterior.words: _row(arrays, labels) for posterior, arrays in found.items()}
    _draw(context, found)
    shards.remove(context, "posterior_inference")
    return {
        "metric": "nats",
        "results": {words: row["median"] for words, row in table.items()},
        "posteriors": table,
        "num_samples": len(examples),
        "protocol": (
            f"{len(examples)} images of split {context.eval_set.split}; "
            f"{chain_words(config.sampler.posterior, max(config.eval.posterior_lengths))} and "
            "shorter ones; median: of log p(x, z), un-normalised, at one draw; diverged: share of "
            "images where it is not finite or beyond a million, without which are the means "
            "log_joint, log_likelihood, log_prior and mse (per pixel, x in [0, 1], decoder mean); "
            f"seconds: to infer 1000 images, compiled; {weights_words(config)}"
            + ("" if labels is None else "; auprc: average precision of the held-out class")
        ),
        "figures": {
            "posterior_inference.png": "log p(x, z), un-normalised, and mean squared error of the "
            "reconstruction over the steps of posterior chains: medians and quartiles over images. "
            "Chains of which one in four diverges or more are left out."
        },
    }


def posteriors(config: Any, with_q: bool) -> list[Posterior]:
    """q and chains from q, where there is an inference net, and chains from noise."""
    lengths = sorted(set(config.eval.posterior_lengths))
    from_noise = [Posterior("normal", length) for length in lengths]
    if not with_q:
        return from_noise
    return [Posterior("inference", length) for length in (0, *lengths)] + from_noise


def check(config: Any) -> None:
    """Raises ConfigError unless `eval.posterior_lengths` are numbers of steps."""
    lengths = tuple(config.eval.posterior_lengths)
    if not lengths or not all(isinstance(length, int) and length > 0 for length in lengths):
        raise ConfigError(
            f"eval.posterior_lengths is {lengths}; give the steps of chains, e.g. (5, 20, 40)."
        )


def _measured(context: Context, posterior: Posterior, examples: np.ndarray) -> shards.Arrays:
    """{log_likelihood, log_prior, mse: [N]; seconds: per image [chunks]}."""
    config, count = context.config, len(examples)
    size = min(config.eval.batch_size, count)
    method = inferring_by(config, posterior)
    key = task_key(context, "posterior_inference")  # the same noise for chains of any length
    low, high = config.data.range
    compiled = False

    def make(number):
        nonlocal compiled
        context.poll()
        images, index = images_of(context, context.eval_set, examples, number * size, size)
        arguments = (context.state, images, key, index)
        if not compiled:  # so that compiling is not timed
            jax.block_until_ready(method.posterior(*arguments))
            compiled = True
        started = time.monotonic()
        z = jax.block_until_ready(method.posterior(*arguments))
        seconds = time.monotonic() - started
        restored = np.asarray(method.maps.decode(context.state, z))
        terms = jax.device_get(method.log_terms(*arguments))  # of the same draw: the key decides
        likelihood = np.asarray(terms.pop("likelihood"), np.float64)
        kept = slice(count - number * size)
        return {
            "log_likelihood": likelihood[kept],
            "log_prior": sum(np.asarray(term, np.float64) for term in terms.values())[kept],
            "mse": np.mean(((restored - images) / (high - low)) ** 2, axis=(1, 2, 3))[kept],
            "seconds": np.asarray([seconds / size]),
        }

    part = f"{posterior.start}_{posterior.num_steps}"
    chunks = list(
        shards.resumable(
            shards.folder_of(context, "posterior_inference", part),
            shards.digest_of(context, posterior=posterior, examples=examples.tolist()),
            math.ceil(count / size),
            make,
        )
    )
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def _row(found: shards.Arrays, labels: np.ndarray | None) -> dict[str, float]:
    diverged = _diverged(found)
    log_joint = np.where(diverged, -_FAR, found["log_likelihood"] + found["log_prior"])
    row = {
        "median": float(np.median(log_joint)),
        "diverged": float(diverged.mean()),
        "standard_error": _mean(log_joint, ~diverged, np.std) / np.sqrt(max(sum(~diverged), 1)),
        "log_joint": _mean(log_joint, ~diverged),
        "log_likelihood": _mean(found["log_likelihood"], ~diverged),
        "log_prior": _mean(found["log_prior"], ~diverged),
        "mse": _mean(found["mse"], ~diverged),
        "seconds": 1000 * float(np.median(found["seconds"])),
    }
    return row if labels is None else row | {"auprc": auprc(-log_joint, labels)}


def _mean(values: np.ndarray, kept: np.ndarray, statistic=np.mean) -> float:
    return float(statistic(values[kept])) if kept.any() else float("nan")


def _diverged(found: shards.Arrays) -> np.ndarray:
    log_joint = found["log_likelihood"] + found["log_prior"]
    return ~(np.abs(np.nan_to_num(log_joint, nan=np.inf)) < _FAR)


def _draw(context: Context, found: dict[Posterior, shards.Arrays]) -> None:
    """Both panels over the steps; a start without that length leaves a gap."""
    steps = sorted({posterior.num_steps for posterior in found})
    panels: dict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = {}
    for title, value in (
        ("log p(x, z)", lambda a: a["log_likelihood"] + a["log_prior"]),
        ("mean squared error", lambda a: a["mse"]),
    ):
        lines = {}
        for start in dict.fromkeys(posterior.start for posterior in found):
            points = [found.get(Posterior(start, number)) for number in steps]
            gap = np.full(3, np.nan)
            low, middle, high = np.transpose(
                [
                    gap
                    if p is None or _diverged(p).mean() >= 0.25
                    else np.quantile(value(p)[~_diverged(p)], (0.25, 0.5, 0.75))
                    for p in points
                ]
            )
            lines[f"from {START_WORDS[start]}"] = (middle, np.stack([low, high]))
        panels[title] = lines
    path = context.folder / "posterior_inference.png"
    plot_profile_panels(path, np.asarray(steps), panels, marks={})
