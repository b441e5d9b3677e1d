"""Task `refinement`: how far samples are from the data before and after the prior's chain.

Over several sets of samples, each with randomness of its own, so that what the chain changes can be
told from what the draw does.
"""

import numpy as np

from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.generation import image_sets, set_words
from ebm_jax.evaluation.yardstick import yardstick_of
from ebm_jax.reporting.grids import pair_grid, save_png

KINDS = ("gaussian_prior", "ebm_prior")


def run(context: Context) -> dict:
    """Means and standard deviations (ddof 1) over the sets, of both distances and of the change."""
    cfg = context.config.eval
    yardstick = yardstick_of(context)
    found: dict[str, list[float]] = {kind: [] for kind in KINDS}
    shown: dict[str, list[np.ndarray]] = {}
    for i in range(cfg.sample_sets):
        sets = image_sets(context, f"samples_{i}" if i else "samples")
        for kind in KINDS:
            distance, images = yardstick.measure(context, "refinement", f"{kind}_{i}", sets[kind])
            found[kind].append(distance)
            shown.setdefault(kind, images)
    found["change"] = [after - before for before, after in zip(*found.values(), strict=True)]
    value_range = tuple(context.config.data.range)
    pixels = pair_grid(*(np.stack(shown[kind]) for kind in KINDS), value_range=value_range)
    save_png(context.folder / "refinement.png", pixels)
    shards.remove(context, "refinement")
    return {
        "metric": yardstick.metric,
        "results": {name: float(np.mean(values)) for name, values in found.items()},
        "deviations": {name: float(np.std(values, ddof=1)) for name, values in found.items()},
        "sets": found,
        "num_samples": cfg.num_samples,
        "network": yardstick.fingerprint,
        "protocol": (
            f"{yardstick.words}; mean and standard deviation over {cfg.sample_sets} sets of "
            f"{cfg.num_samples} samples, {set_words(context, {})}"
        ),
        "figures": {
            "refinement.png": "Samples before the chain and, below each, after it.",
        },
    }
