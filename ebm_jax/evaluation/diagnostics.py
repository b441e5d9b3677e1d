"""Task `diagnostics`: does the prior's sampler mix, is its step right, does it stay where it is?

Parallel prior chains from where training starts them, each step size under unadjusted Langevin and
under MALA (whose accept step makes it exact): acceptance, effective sample size and split R-hat of
the learned energy and of the latents, and both kernels' long chains at the configured step.
"""

from typing import NamedTuple

import ml_collections
import numpy as np

from ebm_jax import methods
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import shards
from ebm_jax.evaluation.context import Context, sample_chunks
from ebm_jax.evaluation.wording import weights_words
from ebm_jax.inference import on_all_devices
from ebm_jax.methods import Method
from ebm_jax.reporting.charts import plot_profile_panels, plot_step_sizes
from ebm_jax.samplers.diagnostics import effective_sample_size, split_rhat

KERNELS = ("mala", "langevin")
# Optimal acceptance of MALA in high dimension (Roberts & Rosenthal, J. R. Stat. Soc. B, 1998).
ACCEPTANCE = 0.574
_MIXED = 1.1  # split R-hat; from here on an effective sample size is not to be trusted
_KEPT = 250  # positions along a long chain
_DIMENSIONS = 32  # of a layer, evenly spaced: ranks of every dimension would outlast the chains
_WORDS = {"langevin": "Langevin", "mala": "MALA"}


class Trace(NamedTuple):
    """Kept steps of parallel chains.

    Attributes:
      energy: [T, C], the learned energy −F.
      grad_norm: [T, C], of the target's gradient in the chain's space.
      accepted: [T, C].
      latents: [T, C, D], some dimensions of every layer.
    """

    energy: np.ndarray
    grad_norm: np.ndarray
    accepted: np.ndarray
    latents: np.ndarray


def run(context: Context) -> dict:
    """Acceptance, ESS, R-hat, long-run stability and a step-size sweep with a recommendation."""
    if not context.method.has_energy:
        return {"skipped": f"method '{context.method.name}' has no energy in this config."}
    config = context.config
    prior, steps = config.sampler.prior, config.eval.diagnostic_steps
    short_steps = methods.prior_steps(config)
    every = max(config.eval.long_chain_steps // _KEPT, 1)
    long_steps = config.eval.long_chain_steps // every * every
    sizes, left_out = step_sizes(config)
    runs = [(size, kernel) for size in sizes for kernel in KERNELS]
    sweep = _kept(
        context, "sweep", runs, lambda size, kernel: summary(trace(context, kernel, size, steps, 1))
    )
    long = _kept(
        context,
        "long",
        [(kernel,) for kernel in KERNELS],
        lambda kernel: long_summary(
            trace(context, kernel, prior.step_size, long_steps, every), every
        ),
    )
    long = {kernel: found for (kernel,), found in long.items()}
    rows = {size: _row(sweep[size, "langevin"], sweep[size, "mala"]) for size in sizes}
    acceptance = {size: row["mala_acceptance"] for size, row in rows.items()}
    efficiency = {size: row[f"{prior.kernel}_ess_per_gradient"] for size, row in rows.items()}
    advised = recommend(acceptance, efficiency)
    stability = {kernel: _stability(found, short_steps, every) for kernel, found in long.items()}
    _draw(context, rows, long, every, short_steps, advised)
    shards.remove(context, "diagnostics")
    results = {f"step {prior.step_size:g} (configured)": acceptance[prior.step_size]}
    if advised is not None:
        results[f"step {advised:g} (recommended)"] = acceptance[advised]
    return {
        "metric": "mala_acceptance",
        "results": results,
        "recommended_step_size": advised,
        "remark": remark(advised, sizes, config.sampler.prior.kernel, rows),
        "step_sizes": {f"{size:.4g}": row for size, row in rows.items()},
        "step_sizes_left_out": left_out,
        "long_chains": {
            name: {kernel: stability[kernel][name] for kernel in KERNELS}
            for name in stability["mala"]
        },
        "num_samples": config.eval.diagnostic_chains,
        "protocol": (
            f"{config.eval.diagnostic_chains} prior chains in {prior.space}-space from the same "
            f"noise; sweep: {steps} steps, the first half discarded; long chains: {long_steps} "
            f"steps, every {every}th kept, the first half discarded for ESS and R-hat; ESS (bulk) "
            f"and split R-hat are rank-normalised (Vehtari et al., 2021), the worst of the learned "
            f"energy and of up to {_DIMENSIONS} latents a layer; per gradient = divided by "
            "chains × steps of the second half; recommended: the step with the largest ESS per "
            f"gradient of the configured kernel ({prior.kernel}) among those that MALA accepts "
            f"with at least {ACCEPTANCE}; energy bias: Langevin's mean energy minus MALA's, in "
            "MALA's standard deviations; stable: the drift from the training length to the end "
            f"stays within one standard deviation; {weights_words(config)}"
        ),
        "figures": {
            "diagnostics_step_sizes.png": f"Step-size sweep; dotted: acceptance {ACCEPTANCE}.",
            "diagnostics_long_chains.png": f"Along {long_steps} steps of {prior.step_size}: mean "
            "and standard deviation over chains; dashed: the training length.",
        },
    }


def step_sizes(config: ml_collections.ConfigDict) -> tuple[list[float], list[float]]:
    """(step sizes of the sweep, those left out), ascending; the configured step is in the sweep.

    Left out are steps from 2 on in u-space, where unadjusted Langevin has no stationary density.

    Raises:
      ConfigError: the configured step is such a one, or a factor is no positive number.
    """
    own, factors = config.sampler.prior.step_size, config.eval.step_size_factors
    if not all(isinstance(factor, int | float) for factor in factors):
        raise ConfigError(f"eval.step_size_factors is {factors}; give positive numbers.")
    asked = sorted({own, *(own * factor for factor in factors)})
    limit = 2.0 if config.sampler.prior.space == "u" else np.inf
    if own >= limit or asked[0] <= 0:
        raise ConfigError(
            f"task diagnostics would start its sweep at step {asked[0]:g} and compare kernels at "
            f"{own:g}; use positive eval.step_size_factors and, in {config.sampler.prior.space}-"
            f"space, a sampler.prior.step_size below {limit:g}."
        )
    return [s for s in asked if s < limit], [s for s in asked if s >= limit]


def recommend(acceptance: dict[float, float], efficiency: dict[float, float]) -> float | None:
    """The step size to use, or None where MALA accepts too little at every one.

    Args:
      acceptance: step size → acceptance of MALA.
      efficiency: step size → ESS per gradient; NaN where a chain diverged.

    Returns:
      The step of the largest ESS per gradient among those with an acceptance of `ACCEPTANCE` or
      more: beyond it the error that unadjusted Langevin makes is no longer small.
    """
    allowed = [s for s, a in acceptance.items() if a >= ACCEPTANCE and np.isfinite(efficiency[s])]
    return max(allowed, key=efficiency.__getitem__, default=None)


def remark(
    advised: float | None, sizes: list[float], kernel: str, rows: dict[float, dict[str, float]]
) -> str:
    """What to bear in mind of the recommendation; empty when it stands as it is."""
    if advised is None:
        return f"MALA accepts less than {ACCEPTANCE} at every step: try smaller ones."
    found = []
    if advised == sizes[-1]:
        found.append("It is the largest step tried: try larger eval.step_size_factors.")
    rhat = rows[advised][f"{kernel}_rhat"]
    if not rhat < _MIXED:
        found.append(
            f"Its chains have not mixed (split R-hat {rhat:.2f}), so its effective samples are a "
            "guess: raise eval.diagnostic_steps."
        )
    return " ".join(found)


def kernel_method(config: ml_collections.ConfigDict, kernel: str, step_size: float) -> Method:
    """The config's method with another kernel and step in its prior chains, on all devices."""
    other = ml_collections.ConfigDict(config.to_dict())
    other.sampler.prior.kernel = kernel
    other.sampler.prior.step_size = step_size
    if kernel == "mala":
        other.sampler.prior.clip = 0.0  # a clipped gradient is none of the proposal's density
    return on_all_devices(methods.build(other))


def trace(context: Context, kernel: str, step_size: float, steps: int, every: int) -> Trace:
    """Runs `eval.diagnostic_chains` prior chains and keeps every so many-th step."""
    context = context._replace(method=kernel_method(context.config, kernel, step_size))
    count = context.config.eval.diagnostic_chains
    size = min(context.config.eval.batch_size, count)
    options = dict(prior="ebm", num_steps=steps, keep_every=every, keep_images=False)
    parts = []
    for chunk in sample_chunks(context, "diagnostics", count, size, **options):
        latents = tuple(z[:, : len(chunk.images)] for z in chunk.latent_trajectory)  # [T, n, …]
        flat = tuple(z.reshape(-1, *z.shape[2:]) for z in latents)
        energy = np.asarray(context.method.energy(context.state, flat))
        parts.append(
            Trace(
                energy.reshape(latents[0].shape[:2]),
                chunk.profile.grad_norm,
                chunk.profile.accepted,
                np.concatenate([_some(z) for z in latents], axis=-1),
            )
        )
    return Trace(*(np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True)))


def summary(kept: Trace, every: int = 1) -> dict[str, np.ndarray]:
    """Numbers of the second half of the chains, of which every so many-th step was kept.

    Returns:
      acceptance; ess_energy and ess_latents (of the worst latent), ess_per_gradient (the smaller of
      the two over the number of steps of all chains); rhat_energy and rhat_latents (worst);
      energy_mean and energy_std; finite, the fraction of chains without NaN or infinity. Scalars.
    """
    half = Trace(*(array[len(array) // 2 :] for array in kept))
    ess_energy = effective_sample_size(half.energy)
    ess_latents = effective_sample_size(half.latents).min()
    found = {
        "acceptance": half.accepted.mean(),
        "ess_energy": ess_energy,
        "ess_latents": ess_latents,
        "ess_per_gradient": np.minimum(ess_energy, ess_latents) / (half.energy.size * every),
        "rhat_energy": split_rhat(half.energy),
        "rhat_latents": split_rhat(half.latents).max(),
        "energy_mean": half.energy.mean(),
        "energy_std": half.energy.std(),
        "finite": np.isfinite(kept.latents).all(axis=(0, 2)).mean(),
    }
    return {name: np.asarray(value, np.float64) for name, value in found.items()}


def _kept(context, part, runs, make) -> dict[tuple, dict[str, np.ndarray]]:
    """{run: make(*run)}; what an interrupted evaluation has finished is read."""
    folder = shards.folder_of(context, "diagnostics", part)
    guard = shards.digest_of(context, runs=runs)
    found = shards.resumable(folder, guard, len(runs), lambda number: make(*runs[number]))
    return dict(zip(runs, found, strict=True))


def _some(z: np.ndarray) -> np.ndarray:
    """[T, n, …] → [T, n, ≤ _DIMENSIONS], evenly spaced."""
    z = z.reshape(*z.shape[:2], -1)
    last = z.shape[2] - 1
    return z[..., np.unique(np.linspace(0, last, min(_DIMENSIONS, last + 1)).astype(int))]


def long_summary(kept: Trace, every: int) -> dict[str, np.ndarray]:
    """`summary`, and mean and standard deviation over chains [2, T] of energy and gradient norm."""
    return summary(kept, every) | {
        "energy_profile": np.stack([kept.energy.mean(1), kept.energy.std(1)]),  # [2, T]
        "gradient_profile": np.stack([kept.grad_norm.mean(1), kept.grad_norm.std(1)]),
    }


def _row(langevin: dict, mala: dict) -> dict[str, float]:
    """One line of the sweep's table."""
    both = {"langevin": langevin, "mala": mala}
    row = {"mala_acceptance": float(mala["acceptance"])}
    for name, part in both.items():
        row[f"{name}_ess_per_gradient"] = float(part["ess_per_gradient"])
        row[f"{name}_rhat"] = float(np.maximum(part["rhat_energy"], part["rhat_latents"]))
        row[f"{name}_energy"] = float(part["energy_mean"])
    bias = langevin["energy_mean"] - mala["energy_mean"]
    return row | {"energy_bias": float(bias / max(mala["energy_std"], 1e-12))}


def _stability(found: dict, short_steps: int, every: int) -> dict:
    """How far a long chain's energy moves away from where the training length leaves it."""
    mean, spread = found["energy_profile"]
    short = min(max(round(short_steps / every) - 1, 0), len(mean) - 1)
    drift = (mean[-1] - mean[short]) / max(spread[short], 1e-12)
    numbers = {name: float(value) for name, value in found.items() if value.ndim == 0}
    return {
        f"energy_after_{(short + 1) * every}": float(mean[short]),
        "energy_at_end": float(mean[-1]),
        "drift_in_spreads": float(drift),
        "stable": bool(abs(drift) <= 1),
    } | numbers


def _draw(context, rows, long, every, short_steps, advised):
    folder, own = context.folder, context.config.sampler.prior.step_size
    marks = {f"configured {own:g}": own}
    if advised is not None and advised != own:
        marks[f"recommended {advised:g}"] = advised

    def line(name):
        return [row[name] for row in rows.values()]

    def both(name):
        return {_WORDS[kernel]: line(f"{kernel}_{name}") for kernel in KERNELS}

    plot_step_sizes(
        folder / "diagnostics_step_sizes.png",
        list(rows),
        {
            "acceptance of MALA": {"MALA": line("mala_acceptance")},
            "ESS per gradient": both("ess_per_gradient"),
            "split R-hat, worst": both("rhat"),
        },
        marks,
        levels={"acceptance of MALA": ACCEPTANCE},
        bottoms={"acceptance of MALA": 0.0, "split R-hat, worst": 0.98},
    )
    panels = {
        title: {_WORDS[kernel]: tuple(long[kernel][profile]) for kernel in KERNELS}
        for title, profile in (
            ("learned energy −F", "energy_profile"),
            ("norm of the target's gradient", "gradient_profile"),
        )
    }
    steps = every * np.arange(1, long["mala"]["energy_profile"].shape[1] + 1)
    plot_profile_panels(
        folder / "diagnostics_long_chains.png", steps, panels, {f"K = {short_steps}": short_steps}
    )
