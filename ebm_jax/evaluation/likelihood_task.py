"""Task `likelihood`: log p(x) of real and simulated images, in nats and in bits per dimension.

What the numbers are is said in `likelihood.py`. Every chunk of chains is stored when it is done, so
an interrupted evaluation goes on and ends with the same numbers.
"""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ebm_jax import data, randomness
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.bounds import bits_per_dim
from ebm_jax.evaluation.context import Context, task_key
from ebm_jax.evaluation.likelihood import (
    REFRESH,
    Arrays,
    ImageBounds,
    Partition,
    log_marginal,
    log_partition,
    tune_steps,
)
from ebm_jax.evaluation.wording import weights_words
from ebm_jax.methods.evidence import temperatures
from ebm_jax.reporting.curves import draw_curves, plot_histograms
from ebm_jax.reporting.house_style import save_figure

_TUNED_ON = 64  # images
_SHORTER = (16, 4)  # the convergence figure has schedules shorter by these


def run(context: Context) -> dict:
    """Bounds of log p(x) on the evaluation split and on images simulated from the model.

    Raises:
      ConfigError: the method has no such density.
    """
    evidence, cfg = context.method.evidence, context.config.eval
    if evidence is None:
        raise ConfigError(
            f"method '{context.method.name}' has no density of images to integrate (its `evidence` "
            "is None); leave 'likelihood' out of eval.tasks."
        )
    key = task_key(context, "likelihood")
    keep = _keeper(context)
    num_chains = cfg.likelihood_chains
    chunk = max(cfg.batch_size // num_chains, 1)  # images at a time
    # Without energies F = 0: one step between two equal densities, and log Z is exactly 0.
    prior_betas = _betas(cfg.likelihood_temperatures) if context.method.has_energy else _betas(1)
    partition = log_partition(
        evidence,
        context.state,
        randomness.stream(key, "partition"),
        prior_betas,
        cfg.partition_chains,
        min(cfg.batch_size, cfg.partition_chains),
        keep,
    )
    _check_partition(partition)
    count = min(cfg.likelihood_images, context.eval_set.num_examples)
    raw, _ = context.eval_set.fetch(np.arange(count))
    images = data.to_float(raw, context.config.data.range)
    betas = _betas(cfg.likelihood_temperatures)
    steps = keep(
        lambda: {
            "steps": tune_steps(evidence, context.state, _cycled(images, _TUNED_ON), key, betas)
        }
    )["steps"]

    def bounds(images, name, betas=betas, steps=steps, latents=None, iwae_samples=cfg.iwae_samples):
        return log_marginal(
            evidence,
            context.state,
            images,
            randomness.stream(key, name),
            betas,
            steps,
            num_chains,
            min(chunk, len(images)),
            latents=latents,
            iwae_samples=iwae_samples,
            keep=keep,
        )

    real = bounds(images, "real")
    u = tuple(leaf[_cycle(len(leaf), cfg.likelihood_simulated)] for leaf in partition.samples)
    simulated_images = np.asarray(
        evidence.simulate(context.state, u, key, np.arange(cfg.likelihood_simulated))
    )
    simulated = bounds(simulated_images, "simulated", latents=u)
    first = slice(0, min(chunk, len(simulated_images)))
    shorter = {}
    for divisor in _SHORTER:
        few = _betas(max(cfg.likelihood_temperatures // divisor, 1))
        fewer_steps = np.interp(few[1:], betas[1:], steps).astype(np.float32)
        shorter[len(few) - 1] = bounds(
            simulated_images[first],
            f"shorter_{divisor}",
            few,
            fewer_steps,
            tuple(leaf[first] for leaf in u),
            iwae_samples=0,
        )
    _check_finite("test images", real)
    _check_finite("simulated images", simulated)
    result = _summary(context, partition, real, simulated)
    _draw(context.folder, partition, real, simulated, shorter, first, len(betas) - 1)
    shards.remove(context, "likelihood")
    return result


def _keeper(context: Context) -> Callable[[Callable[[], Arrays]], Arrays]:
    """Answers the n-th computation of the task with its shard, or makes that."""
    guard = shards.digest_of(context, protocol=[REFRESH, _TUNED_ON, _SHORTER])
    numbers = itertools.count()

    def keep(task):
        def make(_):
            context.poll()
            return task()

        folder = shards.folder_of(context, "likelihood", f"{next(numbers):04d}")
        return next(shards.resumable(folder, guard, 1, make))

    return keep


def _betas(num: int) -> np.ndarray:
    return np.asarray(temperatures(num), np.float32)


def _cycle(size: int, count: int) -> np.ndarray:
    return np.arange(count) % size


def _cycled(images: np.ndarray, count: int) -> np.ndarray:
    return images[_cycle(len(images), count)]


_ADVICE = (
    "raise eval.likelihood_temperatures, and look whether the energies are bounded (task chains)."
)


def _check_partition(partition: Partition) -> None:
    if not np.isfinite([partition.lower, partition.upper]).all():
        raise ConfigError(
            f"the bounds of log Z are {partition.lower:g} and {partition.upper:g}; {_ADVICE}"
        )


def _check_finite(what: str, bounds: ImageBounds) -> None:
    for name in ("ais", "ais_upper", "iwae", "elbo"):
        values = getattr(bounds, name)
        bad = 0 if values is None else int(np.sum(~np.isfinite(values)))
        if bad:
            raise ConfigError(
                f"the bound {name} is not finite for {bad} of {len(values)} {what}; {_ADVICE}"
            )


def _summary(
    context: Context, partition: Partition, real: ImageBounds, simulated: ImageBounds
) -> dict[str, Any]:
    evidence, cfg = context.method.evidence, context.config.eval
    dimensions = int(np.prod(context.eval_set.image_shape))

    def row(values, log_z, log_z_error, seconds=None):
        """Mean over images of values − log Z, and its standard error, which log Z shares in."""
        mean = float(np.mean(values)) - log_z
        spread = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        found = {
            "nats": mean,
            "standard_error": float(np.hypot(spread, log_z_error)),
            "bits_per_dim": float(bits_per_dim(mean, dimensions, evidence.log_bin)),
        }
        return found if seconds is None else found | {"seconds": seconds}

    def table(bounds):
        above = (partition.upper, partition.upper_error)
        below = (partition.lower, partition.lower_error)
        rows = {}
        if bounds.ais_upper is not None:
            rows["AIS, upper bound"] = row(bounds.ais_upper, *below)
        rows["AIS, lower bound"] = row(bounds.ais, *above, bounds.seconds["ais"])
        if bounds.iwae is not None:
            rows["IWAE, lower bound"] = row(bounds.iwae, *above, bounds.seconds["iwae"])
            rows["ELBO, lower bound"] = row(bounds.elbo, *above)
        return rows

    tables = {"test_images": table(real), "simulated_images": table(simulated)}
    shown = tables["test_images"]
    results = {"ais_lower": shown["AIS, lower bound"]["nats"]}
    difference = None
    if real.iwae is not None:
        results["iwae_lower"] = shown["IWAE, lower bound"]["nats"]
        difference = float(np.mean(real.ais - real.iwae))
    simulated_rows = tables["simulated_images"]
    for side in ("lower", "upper"):
        results[f"simulated_ais_{side}"] = simulated_rows[f"AIS, {side} bound"]["nats"]
    gap = results["simulated_ais_upper"] - results["simulated_ais_lower"]
    return {
        "metric": "nats",
        "results": results,
        **tables,
        "log_partition": {
            "log Z": {
                "lower": partition.lower,
                "upper": partition.upper,
                "gap": partition.upper - partition.lower,
                "lower_error": partition.lower_error,
                "upper_error": partition.upper_error,
                "effective_chains": partition.effective_chains,
                "seconds": partition.seconds,
            }
        },
        "simulated_gap": gap,
        "ais_minus_iwae": difference,
        "accepted": {"posterior": float(real.accepted.mean()), "prior": partition.accepted},
        "num_samples": len(real.ais),
        "num_simulated": len(simulated.ais),
        "temperatures": cfg.likelihood_temperatures,
        "chains_per_image": cfg.likelihood_chains,
        "iwae_samples": cfg.iwae_samples if real.iwae is not None else None,
        "protocol": _protocol(context, len(real.ais)),
        "figures": {
            "likelihood_histogram.png": (
                "log p(x) per image, lower bounds by AIS. Simulated images are draws of p(x|z), "
                "noise included."
            ),
            "likelihood_convergence.png": (
                "Bounds of log p(x) of simulated images against AIS temperatures or samples of q: "
                "the truth lies between them."
            ),
        },
    }


def _protocol(context: Context, num_samples: int) -> str:
    cfg = context.config.eval
    log_z = (
        f"log Z by {cfg.partition_chains} AIS chains in each direction, the reverse ones from "
        "forward ends drawn by weight and moved on; lower bounds of log p(x) subtract the upper "
        "bound of log Z, upper bounds the lower one"
        if context.method.has_energy
        else "log Z = 0 (no energy)"
    )
    return (
        f"mean over the first {num_samples} images of split {context.eval_set.split} of bounds in "
        f"expectation: AIS in u-space, {cfg.likelihood_temperatures} temperatures (sigmoid "
        f"schedule), HMC of {cfg.likelihood_leapfrog} leapfrog steps, steps tuned beforehand, "
        f"{cfg.likelihood_chains} chains an image; IWAE with {cfg.iwae_samples} samples; {log_z}; "
        "upper bound of log p(x) by reverse AIS on images simulated from the model alone, exact "
        "without energies and else as good as the effective chains of log Z; "
        f"{weights_words(context.config)}; {context.method.evidence.scale}"
    )


def _draw(folder: Path, partition, real, simulated, shorter, first, num) -> None:
    plot_histograms(
        folder / "likelihood_histogram.png",
        {
            "test images": real.ais - partition.upper,
            "simulated images": simulated.ais - partition.upper,
        },
        xlabel="log p(x), lower bound (nats)",
    )
    runs = shorter | {num: simulated}
    counts = sorted(runs)

    def means(name, log_z):
        return [float(np.mean(getattr(runs[n], name)[first])) - log_z for n in counts]

    series = {
        "AIS, upper bound": (counts, means("ais_upper", partition.lower)),
        "AIS, lower bound": (counts, means("ais", partition.upper)),
    }
    if simulated.iwae is not None:
        curve = simulated.iwae_curve
        values = [float(np.mean(v[first])) - partition.upper for v in curve.values()]
        series["IWAE, lower bound"] = (list(curve), values)
    figure = draw_curves(
        series, ylabel="log p(x) (nats)", xlabel="temperatures (AIS) or samples (IWAE)"
    )
    axes = figure.axes[0]
    axes.set_xscale("log")
    for line in axes.get_lines():
        line.set_marker("o")
        line.set_markersize(3)
    save_figure(folder / "likelihood_convergence.png", figure)
