"""Task `residual`: what Hat EBM's chain adds to a generator's image, x = G(z) + y.

Pictures along the chain, the parts of its end, and the un-normalised log density of x on the way,
with that of test images beside it.
"""

import numpy as np

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.context import Context, images_of, sample_chunks, task_key
from ebm_jax.evaluation.wording import chain_words
from ebm_jax.reporting.curves import plot_profile
from ebm_jax.reporting.grids import image_grid, save_png, strip

_KEPT = 10  # images along the chain
_SHOWN = 8


def run(context: Context) -> dict:
    """Root mean squares of what is added and of how far G(z) moves; three figures.

    Raises:
      ConfigError: the method's images are not G(z) + y.
    """
    cfg, method = context.config, context.method
    steps = cfg.eval.prior_steps or cfg.sampler.prior.num_steps
    every = max(steps // _KEPT, 1)
    parts = {name: [] for name in ("start", "generated", "residual", "chain", "scores")}
    count = cfg.eval.hierarchy_samples
    size = min(cfg.eval.batch_size, count)
    plain = sample_chunks(context, "residual", count, size, prior="gaussian")
    options = dict(prior="ebm", num_steps=steps, keep_every=every)
    for start, chunk in zip(
        plain, sample_chunks(context, "residual", count, size, **options), strict=True
    ):
        if not isinstance(chunk.latents, dict) or "y" not in chunk.latents:
            raise ConfigError(
                f"method '{method.name}' adds no residual to its generator's images; leave "
                "'residual' out of eval.tasks."
            )
        chain = np.concatenate([start.images[None], chunk.trajectory])  # [1 + kept, n, H, W, C]
        parts["start"].append(start.images)
        parts["residual"].append(chunk.latents["y"])
        parts["generated"].append(chunk.images - chunk.latents["y"])
        parts["scores"].append(np.stack([_scores(context, images) for images in chain]))
        missing = _SHOWN - sum(len(rows) for rows in parts["chain"])
        parts["chain"].append(np.swapaxes(chain[:, : max(missing, 0)], 0, 1))
    start, generated, residual, chain = (
        np.concatenate(parts[name]) for name in ("start", "generated", "residual", "chain")
    )
    scores = np.concatenate(parts["scores"], axis=1)  # [1 + kept, count]
    data = _scores(context, _test_images(context, count))
    _draw(context, chain, (start, generated, residual), scores, data, every)
    return {
        "metric": "rms",
        "results": {
            "residual": _rms(residual),
            "generator_moved": _rms(generated - start),
        },
        "log_score": {
            "start": float(scores[0].mean()),
            "end": float(scores[-1].mean()),
            "test_images": float(data.mean()),
        },
        "num_samples": count,
        "protocol": (
            f"{count} chains from G(z), z ~ N(0, I), {chain_words(cfg.sampler.prior, steps)}"
            f"{method.chain_detail}; root mean square, pixels in [-1, 1], of y at the end and of "
            "the change of G(z); averaged weights"
        ),
        "figures": {
            "residual_chain.png": f"A chain a row: G(z) at the start, then G(z) + y every {every} "
            "steps.",
            "residual_parts.png": "The parts of the chains' ends: G(z) at the start, G(z) at the "
            "end, y (grey = 0, scaled to its largest in the row of all) and G(z) + y.",
            "residual_score.png": "Un-normalised log density along the chain, mean and standard "
            "deviation over chains, and that of test images.",
        },
    }


def _draw(context, chain, parts, scores, data, every) -> None:
    value_range = tuple(context.config.data.range)
    folder = context.folder
    save_png(folder / "residual_chain.png", strip(chain, value_range=value_range))
    start, generated, residual = (part[:_SHOWN] for part in parts)
    largest = max(float(np.nanmax(np.abs(residual))), 1e-12)
    rows = (start, generated, residual / largest, generated + residual)
    pixels = image_grid(np.concatenate(rows), columns=len(start), value_range=value_range)
    save_png(folder / "residual_parts.png", pixels)
    places = every * np.arange(len(scores))
    flat = np.full(len(scores), data.mean())
    plot_profile(
        folder / "residual_score.png",
        {"chain": (scores.mean(1), scores.std(1)), "test images": (flat, data.std() + 0 * flat)},
        xlabel="step of the chain",
        ylabel="log density, up to a constant",
        x=places,
    )


def _scores(context: Context, images: np.ndarray) -> np.ndarray:
    """[n], in float64; Hat EBM's needs neither latents nor randomness."""
    index = np.arange(len(images), dtype=np.int32)
    found = context.method.log_score(context.state, images, task_key(context, "residual"), index)
    return np.asarray(found, np.float64)


def _test_images(context: Context, count: int) -> np.ndarray:
    examples = np.arange(min(count, context.eval_set.num_examples))
    return images_of(context, context.eval_set, examples, 0, len(examples))[0]


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
