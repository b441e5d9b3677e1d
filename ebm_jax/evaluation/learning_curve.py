"""Task `learning_curve`: how far samples are from the data at the last checkpoints of a run."""

import numpy as np

from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context, last_checkpoints
from ebm_jax.evaluation.generation import image_sets, set_words
from ebm_jax.evaluation.yardstick import yardstick_of
from ebm_jax.reporting.curves import plot_profile


def run(context: Context) -> dict:
    """The distance of both priors' samples at each checkpoint, and its curve."""
    cfg = context.config.eval
    yardstick = yardstick_of(context)
    kinds = ["gaussian_prior"] + ["ebm_prior"] * context.method.has_energy
    found: dict[str, dict[int, float]] = {kind: {} for kind in kinds}
    for at in list(last_checkpoints(context, cfg.last_checkpoints)):  # all or none
        for kind in kinds:
            found[kind][at.step], _ = yardstick.measure(
                at, "learning_curve", f"{kind}_{at.step}", image_sets(at)[kind]
            )
    shards.remove(context, "learning_curve")
    metric = yardstick.metric
    steps = sorted(found["gaussian_prior"])
    curves = {kind: np.array([at[step] for step in steps]) for kind, at in found.items()}
    plot_profile(
        context.folder / "learning_curve.png",
        {kind.replace("_", " ").replace("ebm", "EBM"): values for kind, values in curves.items()},
        xlabel="training step",
        ylabel=metric,
        x=np.array(steps),
    )
    return {
        "metric": metric,
        "results": {
            f"{kind}@{step}": at[step]
            for kind, at in found.items()
            for step in (steps[-1], steps[0])
        },
        "curves": {
            kind: dict(zip(map(str, steps), values.tolist(), strict=True))
            for kind, values in curves.items()
        },
        "num_samples": cfg.num_samples,
        "network": yardstick.fingerprint,
        "protocol": (
            f"{yardstick.words}; {cfg.num_samples} samples at each of the last {len(steps)} "
            f"checkpoints, {set_words(context, {})}"
        ),
        "figures": {
            "learning_curve.png": f"{metric} of samples at the last {len(steps)} checkpoints."
        },
    }
