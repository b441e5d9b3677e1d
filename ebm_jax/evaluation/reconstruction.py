"""Task `reconstruction`: mean squared error on the evaluation split."""

import warnings

import numpy as np

from ebm_jax.evaluation.context import Context, reconstruction_chunks
from ebm_jax.evaluation.wording import posterior_words, weights_words
from ebm_jax.reporting.grids import pair_grid, save_png


def run(context: Context) -> dict:
    """MSE per pixel with x in [0, 1], posterior latents, decoder mean."""
    low, high = context.config.data.range
    config = context.config
    shown = max(config.eval.grid // 2, 1)  # as many pictures, in pairs
    errors, originals, results = [], [], []
    total = squares = 0.0  # of pixels in [0, 1]
    for images, restored in reconstruction_chunks(
        context, context.eval_set, "reconstruction", config.eval.num_reconstructions
    ):
        errors.append(np.mean(((restored - images) / (high - low)) ** 2, axis=(1, 2, 3)))
        pixels = (images.astype(np.float64) - low) / (high - low)
        total, squares = total + pixels.sum(0), squares + np.square(pixels).mean((1, 2, 3)).sum()
        missing = max(shown - len(originals), 0)
        originals.extend(images[:missing])
        results.extend(restored[:missing])
    errors = np.concatenate(errors)
    count = errors.size
    spread = squares / count - np.square(total / count).mean()
    if spread > 0 and not errors.mean() < spread:
        warnings.warn(
            f"reconstructions have an error of {errors.mean():.3g}, and the images' mean in the "
            f"place of each would have {spread:.3g}: the model has not learned these images; train "
            f"for longer, or {context.method.advice}.",
            stacklevel=2,
        )
    pairs = pair_grid(np.stack(originals), np.stack(results), value_range=(low, high))
    save_png(context.folder / "reconstruction.png", pairs)
    return {
        "metric": "mse",
        "results": {"reconstruction": float(errors.mean())},
        "num_samples": int(errors.size),
        "protocol": (
            f"mean squared error per pixel, x in [0, 1], split {context.eval_set.split}, "
            f"{posterior_words(config)}, decoder mean, {weights_words(config)}"
        ),
        "figures": {"reconstruction.png": "Images (upper rows) and their reconstructions."},
    }
