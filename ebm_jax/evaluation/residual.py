"""Task `residual`: what Hat EBM's chain adds to a generator's image, x = G(z) + y.

Pictures along the chain, the parts of its end, and −H(x)/T on the way, with that of test images
beside it.
"""

from typing import Any

import numpy as np

from ebm_jax.evaluation.context import Context, images_of, sample_chunks, task_key
from ebm_jax.evaluation.wording import chain_words, weights_words
from ebm_jax.methods import prior_steps
from ebm_jax.reporting.curves import plot_profile
from ebm_jax.reporting.grids import image_grid, save_png, strip

_KEPT = 10  # images along the chain; more where its length has no divisor that gives so many
_SHOWN = 8


def run(context: Context) -> dict:
    """Root mean squares of y and, where z moves, of how far G(z) does; three figures."""
    cfg, method = context.config, context.method
    steps = prior_steps(cfg)
    every = spacing(steps)
    count = cfg.eval.hierarchy_samples
    size = min(cfg.eval.batch_size, count)
    plain = sample_chunks(context, "residual", count, size, prior="gaussian")
    options = dict(prior="ebm", num_steps=steps, keep_every=every)
    moving = sample_chunks(context, "residual", count, size, **options)
    squares: dict[str, list[float]] = {"residual": []}
    scores, shown = [], []
    for start, chunk in zip(plain, moving, strict=True):
        y = chunk.latents["y"]
        generated = chunk.images - y
        squares["residual"].extend(_squares(y))
        if np.any(chunk.latents["z"] != start.latents["z"]):
            moved = squares.setdefault("generator_moved", [])
            moved.extend(_squares(generated - start.images))
        chain = np.concatenate([start.images[None], chunk.trajectory])  # [1 + kept, n, H, W, C]
        scores.append(np.stack([_scores(context, images) for images in chain]))
        for i in range(min(max(_SHOWN - len(shown), 0), len(y))):
            shown.append((chain[:, i].copy(), generated[i], y[i]))
    along = np.concatenate(scores, axis=1)  # [1 + kept, count]
    data = _scores_of_test_images(context, min(count, context.eval_set.num_examples), size)
    _draw(context, shown, along, data, every)
    return {
        "metric": "rms",
        "results": {name: float(np.sqrt(np.mean(found))) for name, found in squares.items()},
        "log_score": {
            "start": float(along[0].mean()),
            "end": float(along[-1].mean()),
            "test_images": float(data.mean()),
        },
        "num_samples": count,
        "protocol": (
            f"{count} chains from G(z), z ~ N(0, I), {chain_words(cfg.sampler.prior, steps)}"
            f"{method.chain_detail}; root mean square, pixels in [-1, 1], of y at the end and, "
            f"where z moves, of the change of G(z); {weights_words(cfg)}"
        ),
        "figures": {
            "residual_chain.png": "A chain a row: G(z) at the start, then G(z) + y to its end.",
            "residual_parts.png": "The parts of the chains' ends: G(z) at the start, G(z) at the "
            "end, y (grey = 0, scaled to its largest in the row of all) and G(z) + y.",
            "residual_score.png": "−H(x)/T along the chain, mean and standard deviation over "
            "chains, and that of test images.",
        },
    }


def spacing(steps: int) -> int:
    """Steps between kept images: the largest divisor that keeps at least `_KEPT` of them."""
    return next(n for n in range(max(steps // _KEPT, 1), 0, -1) if steps % n == 0)


def _draw(context: Context, shown: list[Any], scores, data, every) -> None:
    value_range = tuple(context.config.data.range)
    folder = context.folder
    chains, generated, y = (np.stack(parts) for parts in zip(*shown, strict=True))
    columns = np.unique(np.linspace(0, chains.shape[1] - 1, _KEPT + 1).round().astype(int))
    save_png(folder / "residual_chain.png", strip(chains[:, columns], value_range=value_range))
    largest = max(float(np.nanmax(np.abs(y))), 1e-12)
    rows = (chains[:, 0], generated, y / largest, generated + y)
    pixels = image_grid(np.concatenate(rows), columns=len(y), value_range=value_range)
    save_png(folder / "residual_parts.png", pixels)
    flat = np.full(len(scores), data.mean())
    plot_profile(
        folder / "residual_score.png",
        {"chain": (scores.mean(1), scores.std(1)), "test images": (flat, data.std() + 0 * flat)},
        xlabel="step of the chain",
        ylabel="−H(x) / T",
        x=every * np.arange(len(scores)),
    )


def _scores(context: Context, images: np.ndarray) -> np.ndarray:
    """[n], in float64; needs neither latents nor randomness."""
    index = np.arange(len(images), dtype=np.int32)
    found = context.method.log_score(context.state, images, task_key(context, "residual"), index)
    return np.asarray(found, np.float64)


def _scores_of_test_images(context: Context, count: int, size: int) -> np.ndarray:
    found = [
        _scores(context, images_of(context, context.eval_set, np.arange(count), start, size)[0])
        for start in range(0, count, size)
    ]
    return np.concatenate(found)[:count]


def _squares(x: np.ndarray) -> np.ndarray:
    """Mean square of every example."""
    return np.mean(np.square(x, dtype=np.float64), axis=(1, 2, 3))
