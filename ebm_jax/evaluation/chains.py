"""Task `chains`: do long prior chains stay where short ones are?

Chains of the training length and of `eval.long_chain_steps` start from the same noise; compared are
the learned energy of their ends, the profile along the way, and, where the data set has labels, the
fd_classifier distance of both ends.
"""

import collections

import numpy as np

from ebm_jax.evaluation.context import Context, sample_chunks
from ebm_jax.evaluation.generation import distance, is_judged, judge_of
from ebm_jax.evaluation.wording import chain_words, weights_words
from ebm_jax.methods import prior_steps
from ebm_jax.reporting.curves import plot_profile
from ebm_jax.reporting.grids import save_png, strip

_KEPT = 25  # images along the long chain
_ROWS = 8


def run(context: Context) -> dict:
    """Long-run stability of the EBM prior's sampler."""
    if not context.method.has_energy:
        return {"skipped": f"method '{context.method.name}' has no energy in this config."}
    cfg = context.config
    short_steps = prior_steps(cfg)
    every = max(cfg.eval.long_chain_steps // _KEPT, 1)
    long_steps = every * _KEPT
    judged = is_judged(context.train_set)
    judge = judge_of(context) if judged else None
    result, profiles = {}, {}
    for kind, steps, keep in (("short", short_steps, 0), ("long", long_steps, every)):
        seen = _Seen(context)
        ends = seen.ends(steps, keep)
        found = {}
        if judged:
            found["fd_classifier"] = distance(judge, ends, tuple(cfg.data.range))
        else:
            collections.deque(ends, maxlen=0)  # runs them
        result[kind] = {"steps": steps, **seen.summary(), **found}
        if keep:
            profile = np.concatenate(seen.profiles, axis=1)  # [kept, n]
            profiles[""] = (profile.mean(1), profile.std(1))
            pixels = strip(np.stack(seen.rows), value_range=tuple(cfg.data.range))
            save_png(context.folder / "chains_strip.png", pixels)
    plot_profile(
        context.folder / "chains_energy.png",
        profiles,
        xlabel="step of the chain",
        ylabel="−log density, up to a constant",
        x=every * np.arange(1, len(profiles[""][0]) + 1),
    )
    metric, results = "energy", {kind: result[kind]["energy_mean"] for kind in result}
    if judged:
        metric = "fd_classifier"
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
            f"{cfg.eval.long_chain_samples} prior chains, {short_steps} and "
            f"{chain_words(cfg.sampler.prior, long_steps)}{context.method.chain_detail} from the "
            f"same noise, learned energy at the end, {weights_words(cfg)}"
        ),
        "figures": {
            "chains_energy.png": "−log density of the target along long chains: mean and standard "
            "deviation over chains."
            + " The target is another at each level."
            * (not context.method.one_target),
            "chains_strip.png": f"Long chains, an image every {every} steps, one chain a row.",
        },
    }


class _Seen:
    """What is kept of chains that pass by in chunks: numbers per chain, pictures of the first."""

    def __init__(self, context: Context):
        self.context = context
        self.energies, self.infos, self.profiles, self.rows = [], [], [], []

    def ends(self, steps: int, keep: int):
        """Yields the chains' last images, [n, H, W, C] at a time."""
        count = self.context.config.eval.long_chain_samples
        size = min(self.context.config.eval.batch_size, count)
        options = dict(prior="ebm", num_steps=steps, keep_every=keep)
        for chunk in sample_chunks(self.context, "samples", count, size, **options):
            energy = self.context.method.energy(self.context.state, chunk.latents)
            self.energies.append(np.asarray(energy))
            self.infos.append(chunk.info)
            if keep:
                self.profiles.append(chunk.profile.energy)
                missing = max(_ROWS - len(self.rows), 0)
                self.rows.extend(np.swapaxes(chunk.trajectory[:, :missing], 0, 1))
            yield chunk.images

    def summary(self) -> dict[str, float]:
        def mean(name):
            return float(np.concatenate([getattr(info, name) for info in self.infos]).mean())

        energies = np.concatenate(self.energies)
        return {
            "energy_mean": float(energies.mean()),
            "energy_std": float(energies.std()),
            "target_energy_mean": mean("energy"),
            "gradient_norm_mean": mean("grad_norm"),
            "finite": mean("finite"),
        }
