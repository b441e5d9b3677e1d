"""Task `chains`: do long prior chains stay where short ones are?

Chains of the training length and of `eval.long_chain_steps` start from the same noise; compared are
the learned energy of their ends, the profile along the way, and, where the data set has labels, the
fd_classifier distance of both ends.
"""

import numpy as np

from ebm_jax.evaluation.context import Context, sample_chunks
from ebm_jax.evaluation.generation import distance, judge_of
from ebm_jax.reporting.curves import plot_profile
from ebm_jax.reporting.grids import save_png, strip

_KEPT = 25  # images along the long chain
_ROWS = 8


def run(context: Context) -> dict:
    """Long-run stability of the EBM prior's sampler."""
    if not context.method.has_energy:
        return {"skipped": f"method '{context.method.name}' has no energy in this config."}
    cfg = context.config
    short_steps = cfg.eval.prior_steps or cfg.sampler.prior.num_steps
    every = max(cfg.eval.long_chain_steps // _KEPT, 1)
    long_steps = every * _KEPT
    result, profiles, images = {}, {}, {}
    for kind, steps, keep in (("short", short_steps, 0), ("long", long_steps, every)):
        chunks = list(
            sample_chunks(
                context,
                "samples",
                cfg.eval.long_chain_samples,
                min(cfg.eval.batch_size, cfg.eval.long_chain_samples),
                prior="ebm",
                num_steps=steps,
                keep_every=keep,
            )
        )
        images[kind] = np.concatenate([chunk.images for chunk in chunks])
        energies = np.concatenate(
            [np.asarray(context.method.energy(context.state, c.latents)) for c in chunks]
        )
        result[kind] = {
            "steps": steps,
            "energy_mean": float(energies.mean()),
            "energy_std": float(energies.std()),
            "target_energy_mean": float(np.concatenate([c.info.energy for c in chunks]).mean()),
            "gradient_norm_mean": float(np.concatenate([c.info.grad_norm for c in chunks]).mean()),
            "finite": float(np.concatenate([c.info.finite for c in chunks]).mean()),
        }
        if keep:
            profile = np.concatenate([c.profile.energy for c in chunks], axis=1)  # [kept, n]
            profiles["−log density (up to a constant)"] = (profile.mean(1), profile.std(1))
            trajectory = np.concatenate([c.trajectory for c in chunks], axis=1)
            rows = np.swapaxes(trajectory[:, :_ROWS], 0, 1)
            pixels = strip(rows, value_range=tuple(cfg.data.range))
            save_png(context.folder / "chains_strip.png", pixels)
    plot_profile(
        context.folder / "chains_energy.png",
        profiles,
        xlabel="Langevin step",
        ylabel="energy",
        x=every * np.arange(1, _KEPT + 1),
    )
    metric, results = "energy", {kind: result[kind]["energy_mean"] for kind in result}
    if context.train_set.num_classes > 1 and cfg.data.channels == 1:
        judge, metric = judge_of(context), "fd_classifier"
        for kind, drawn in images.items():
            result[kind]["fd_classifier"] = distance(judge, drawn, tuple(cfg.data.range))
        results = {f"{kind}_chains": result[kind]["fd_classifier"] for kind in result}
    drift = result["long"]["energy_mean"] - result["short"]["energy_mean"]
    spread = max(result["short"]["energy_std"], 1e-12)
    return {
        "metric": metric,
        "results": results,
        "chains": result,
        "energy_drift_in_spreads": drift / spread,
        "num_samples": cfg.eval.long_chain_samples,
        "protocol": (
            f"{cfg.eval.long_chain_samples} prior chains, {short_steps} and {long_steps} steps of "
            f"{cfg.sampler.prior.step_size} in {cfg.sampler.prior.space}-space from the same "
            "noise, learned energy −F at the end, averaged weights"
        ),
        "figures": {
            "chains_energy.png": "Energy of the target along long chains (mean and spread).",
            "chains_strip.png": f"Long chains, an image every {every} steps, one chain a row.",
        },
    }
