"""log Z of the EBM prior and log p(x), each between stochastic bounds.

    log Z = log E_u exp[F(T_β(u))],  log p(x) = log E_u exp[log p(x|T_β(u)) + F(T_β(u))] − log Z

with u ~ N(0, I). The first terms are estimated by annealed importance sampling in u-space (Neal
2001; Wu et al. 2017) and by the importance-weighted bound of the inference net (Burda et al. 2016).
What each number is, in expectation over the chains' randomness:

- a forward run is a lower bound of its integral;
- a reverse run is an upper bound of it if it starts from exact samples of its target (Grosse,
  Ghahramani and Adams 2015). For log Z these are samples of the EBM prior, which without energies
  are exact and else are forward ends, drawn by weight and moved on at the target: as good as the
  effective number of chains says. For log p(x) of an image simulated from such a sample they are
  the latents it was made from, exact to the same degree. For real images there is no upper bound;
- a lower bound of log p(x) subtracts the *upper* bound of log Z, and the other way round.

Every function takes an Evidence (methods/base.py) and its `keep`, which is given every expensive
computation in turn and may answer with a stored result (`shards.py`).
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from ebm_jax import randomness
from ebm_jax.evaluation.bounds import bootstrap, effective_size, log_mean_exp, resampled
from ebm_jax.evaluation.chunks import padded
from ebm_jax.evaluation.iwae import iwae, iwae_points
from ebm_jax.methods.base import Evidence

Arrays = dict[str, np.ndarray]
Keep = Callable[[Callable[[], Arrays]], Arrays]
REFRESH = 50  # transitions at the EBM prior itself, from resampled forward ends to its samples


def compute(task: Callable[[], Arrays]) -> Arrays:
    """The `keep` that stores nothing."""
    return task()


class Partition(NamedTuple):
    """log Z of the EBM prior with respect to the normalised base prior p_β.

    Attributes:
      lower, upper: the bounds.
      lower_error, upper_error: their bootstrap standard errors; chains with a common ancestor are
        drawn together.
      effective_chains: what the forward weights are worth, of `num_chains`.
      num_chains: in each direction.
      accepted: mean HMC acceptance of the forward run.
      samples: u of the EBM prior, leaves [num_chains, ...].
      seconds: of computing.
    """

    lower: float
    upper: float
    lower_error: float
    upper_error: float
    effective_chains: float
    num_chains: int
    accepted: float
    samples: Any
    seconds: float


class ImageBounds(NamedTuple):
    """log ∫ p(x|z) exp[F(z)] p_β(z) dz of images, that is log Z · p(x): arrays [n].

    Attributes:
      ais: forward AIS, a lower bound.
      ais_upper: reverse AIS, or None without the latents the images were made from.
      iwae: the importance-weighted lower bound, or None without an inference net.
      elbo: its value with one sample, averaged over all samples; or None.
      iwae_curve: {number of samples: [n]}.
      accepted: [n] mean HMC acceptance.
      seconds: of computing {'ais': …, 'iwae': …}.
    """

    ais: np.ndarray
    ais_upper: np.ndarray | None
    iwae: np.ndarray | None
    elbo: np.ndarray | None
    iwae_curve: dict[int, np.ndarray]
    accepted: np.ndarray
    seconds: dict[str, float]


def log_partition(
    evidence: Evidence,
    state: Any,
    key: jax.Array,
    betas: np.ndarray,
    num_chains: int,
    chunk: int,
    keep: Keep = compute,
) -> Partition:
    """Bounds of log Z from both directions, and samples of the EBM prior.

    Args:
      evidence: of the method.
      state: its parameters.
      key: of this estimate.
      betas: [T + 1] temperatures from 0 to 1.
      num_chains: in each direction.
      chunk: chains run at a time.
      keep: see the module.
    """
    tuned = keep(
        lambda: _timed(
            lambda: {
                "steps": evidence.tune(state, None, key, np.arange(min(chunk, num_chains)), betas)
            }
        )
    )
    steps = tuned["steps"]

    def in_chunks(run):
        """`run` on (slice, padded index) of all chains: arrays of all."""
        parts = [
            keep(lambda p=part, i=index: _timed(lambda: _chains(run(p, i), p)))
            for part, index in _chunks(num_chains, chunk)
        ]
        return _joined(parts)

    forward = in_chunks(lambda _, i: evidence.forward(state, None, key, i, betas, steps))
    seed = _seed(key)
    chosen = resampled(forward["log_weights"], num_chains, seed)
    start = tuple(leaf[chosen] for leaf in _latents(forward))
    at_target = np.ones(REFRESH + 1, np.float32)
    last_steps = np.full(REFRESH, steps[-1], np.float32)
    refresh_key, reverse_key = (randomness.stream(key, name) for name in ("refresh", "back"))
    samples = in_chunks(
        lambda _, i: evidence.reverse(
            state, None, _rows(start, i), refresh_key, i, at_target, last_steps
        )
    )
    u = _latents(samples)
    back = in_chunks(
        lambda _, i: evidence.reverse(state, None, _rows(u, i), reverse_key, i, betas, steps)
    )
    errors = [
        np.std(bootstrap(forward["log_weights"], seed)),
        np.std(bootstrap(back["log_weights"], seed, groups=chosen)),
    ]
    return Partition(
        lower=float(log_mean_exp(forward["log_weights"])),
        upper=0.0 - float(log_mean_exp(back["log_weights"])),  # 0, not −0, without energies
        lower_error=float(errors[0]),
        upper_error=float(errors[1]),
        effective_chains=effective_size(forward["log_weights"]),
        num_chains=num_chains,
        accepted=float(forward["accepted"].mean()),
        samples=u,
        seconds=float(sum(np.sum(r["seconds"]) for r in (tuned, forward, samples, back))),
    )


def log_marginal(
    evidence: Evidence,
    state: Any,
    images: np.ndarray,
    key: jax.Array,
    betas: np.ndarray,
    steps: np.ndarray,
    num_chains: int,
    chunk: int,
    *,
    latents: Any = None,
    iwae_samples: int = 0,
    keep: Keep = compute,
) -> ImageBounds:
    """Bounds of log Z · p(x) of each image; image i's numbers do not depend on the chunk's size.

    Args:
      evidence, state: as for `log_partition`.
      images: [n, H, W, C] on the scale of p(x|z).
      key: of this estimate.
      betas: [T + 1] temperatures from 0 to 1.
      steps: [T] step sizes, e.g. those of `tune_steps`.
      num_chains: AIS chains per image, whose weights are averaged.
      chunk: images at a time, so chunk · num_chains chains.
      latents: u the images were simulated from, leaves [n, ...]; adds the upper bound.
      iwae_samples: S of the importance-weighted bound; 0 leaves it out.
      keep: see the module.
    """
    weighted = iwae_samples > 0 and evidence.log_weights is not None
    reverse_key = randomness.stream(key, "back")
    found = {"ais": [], "back": [], "iwae": []}
    for part, index in _chunks(len(images), chunk):
        x, chains = images[index], np.repeat(np.arange(chunk), num_chains)
        numbers = index[chains] * num_chains + np.tile(np.arange(num_chains), chunk)
        count = part.stop - part.start

        def lower(x=x, c=chains, i=numbers, n=count):
            run = evidence.forward(state, x[c], key, i, betas, steps)
            return _per_image(run, n, num_chains)

        def upper(x=x, c=chains, i=numbers, n=count, rows=index):
            u = _rows(latents, rows[c])  # all of an image's chains start where it was made
            run = evidence.reverse(state, x[c], u, reverse_key, i, betas, steps)
            return _per_image(run, n, num_chains)

        def weights(x=x, i=index, n=count):
            return {
                name: value[..., :n]
                for name, value in iwae(evidence, state, x, key, i, iwae_samples).items()
            }

        found["ais"].append(keep(lambda task=lower: _timed(task)))
        if latents is not None:
            found["back"].append(keep(lambda task=upper: _timed(task)))
        if weighted:
            found["iwae"].append(keep(lambda task=weights: _timed(task)))
    ais, back = _joined(found["ais"]), _joined(found["back"])
    inferred = _joined(found["iwae"], axis=-1)
    runs = [ais["seconds"], back.get("seconds", 0.0)]
    curve = dict(zip(iwae_points(iwae_samples), inferred.get("curve", ()), strict=False))
    return ImageBounds(
        ais=log_mean_exp(ais["log_weights"], axis=1),
        ais_upper=-log_mean_exp(back["log_weights"], axis=1) if back else None,
        iwae=inferred.get("bound"),
        elbo=inferred.get("elbo"),
        iwae_curve=curve,
        accepted=ais["accepted"],
        seconds={
            "ais": float(sum(np.sum(s) for s in runs)),
            "iwae": float(np.sum(inferred.get("seconds", 0.0))),
        },
    )


def tune_steps(
    evidence: Evidence, state: Any, images: np.ndarray, key: jax.Array, betas: np.ndarray
) -> np.ndarray:
    """Step sizes [T] for `log_marginal`, from a run of one chain per image whose weights go."""
    tune_key = randomness.stream(key, "tune")
    return np.asarray(evidence.tune(state, images, tune_key, np.arange(len(images)), betas))


def _timed(task: Callable[[], Arrays]) -> Arrays:
    """The task's arrays on the host and the seconds they took."""
    started = time.monotonic()
    arrays = {name: np.asarray(value) for name, value in task().items()}
    return arrays | {"seconds": np.asarray([time.monotonic() - started])}


def _chunks(num: int, size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """(slice, index [size]) of each chunk; the last index repeats to keep one compiled shape."""
    for start in range(0, num, size):
        yield slice(start, min(start + size, num)), padded(start, size, num)


def _chains(run, part: slice) -> Arrays:
    count = part.stop - part.start
    latents = {f"u_{i}": leaf[:count] for i, leaf in enumerate(run.position)}
    return {"log_weights": run.log_weights[:count], "accepted": run.accepted[:count]} | latents


def _per_image(run, count: int, num_chains: int) -> Arrays:
    return {
        "log_weights": np.asarray(run.log_weights).reshape(-1, num_chains)[:count],
        "accepted": np.asarray(run.accepted).reshape(-1, num_chains).mean(1)[:count],
    }


def _latents(arrays: Arrays) -> tuple[np.ndarray, ...]:
    return tuple(arrays[name] for name in sorted(arrays) if name.startswith("u_"))


def _rows(latents, index):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[index], latents)


def _joined(parts: list[Arrays], axis: int = 0) -> Arrays:
    if not parts:
        return {}
    return {name: np.concatenate([part[name] for part in parts], axis) for name in parts[0]}


def _seed(key: jax.Array) -> int:
    """A number for NumPy out of a key."""
    return int(np.asarray(jax.random.key_data(key)).astype(np.uint64).sum())
