"""Effective sample size and split R-hat of parallel chains, rank-normalised, in NumPy float64.

Source: Vehtari, Gelman, Simpson, Carpenter & Bürkner, "Rank-normalization, folding, and
localization: an improved R-hat for assessing convergence of MCMC", Bayesian Analysis 16 (2021).
"""

import numpy as np
from scipy import fft, special, stats

_LEAST_DRAWS = 4  # two in each half
_FLAT = np.finfo(np.float64).resolution  # chains whose draws differ by less have not moved


def split_rhat(draws: np.ndarray) -> np.ndarray:
    """Rank-normalised split R-hat: the larger of that of the draws and of the folded draws (§3).

    Args:
      draws: [T, C] or [T, C, D], T draws of C chains, without warm-up.

    Returns:
      Scalar array or [D]; 1 for chains that agree, above 1.01 doubtful. NaN where a draw is not
      finite or nothing moves.

    Raises:
      ValueError: fewer than 4 draws, or another number of axes.
    """
    return _per_dimension(_split_rhat, draws)


def effective_sample_size(draws: np.ndarray) -> np.ndarray:
    """Bulk effective sample size of all chains together (§4.1, eqs. 4.1–4.3 and Geyer's sequence).

    Args:
      draws: [T, C] or [T, C, D], T draws of C chains, without warm-up.

    Returns:
      Scalar array or [D], number of independent draws with the same error of the mean; antithetic
      chains have more than T · C. NaN where a draw is not finite. Below 10 draws of a chain it
      says nothing: Geyer's sequence needs 5 in each half to begin (ArviZ gives the same number).

    Raises:
      ValueError: fewer than 4 draws, or another number of axes.
    """
    return _per_dimension(lambda chains: _ess(_normal_scores(_halves(chains))), draws)


def autocovariance(chains: np.ndarray) -> np.ndarray:
    """Biased autocovariance of each chain (normalised by T), by FFT.

    Args:
      chains: [C, T].

    Returns:
      [C, T], lags 0 … T − 1.
    """
    length = chains.shape[1]
    size = fft.next_fast_len(2 * length)
    centred = chains - chains.mean(axis=1, keepdims=True)
    spectrum = fft.rfft(centred, n=size, axis=1)
    return fft.irfft(np.abs(spectrum) ** 2, n=size, axis=1)[:, :length] / length


def _per_dimension(statistic, draws):
    draws = np.asarray(draws, np.float64)
    if draws.ndim not in (2, 3) or draws.shape[0] < _LEAST_DRAWS or 0 in draws.shape:
        raise ValueError(
            f"The draws have shape {draws.shape}; they must be [T, C] or [T, C, D] with at least "
            f"{_LEAST_DRAWS} draws T of at least one chain C."
        )

    def of_chains(chains):  # [T, C]
        return statistic(chains.T) if np.isfinite(chains).all() else np.nan

    if draws.ndim == 2:
        return np.asarray(of_chains(draws))
    return np.array([of_chains(draws[..., d]) for d in range(draws.shape[2])])


def _halves(chains: np.ndarray) -> np.ndarray:
    """First and second half of every chain as chains: [C, T] → [2C, T // 2], middle draw left."""
    half = chains.shape[1] // 2
    return np.concatenate([chains[:, :half], chains[:, -half:]])


def _normal_scores(chains: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks over all chains, Blom's offset 3/8 (eq. 14)."""
    ranks = stats.rankdata(chains, method="average").reshape(chains.shape)
    return special.ndtri((ranks - 3 / 8) / (chains.size + 1 / 4))


def _split_rhat(chains):
    halves = _halves(chains)
    folded = np.abs(halves - np.median(halves))
    return max(_rhat(_normal_scores(halves)), _rhat(_normal_scores(folded)))


def _rhat(chains: np.ndarray) -> float:
    """√(v̂ar⁺ / W) of [C, T] (eqs. 1–4)."""
    length = chains.shape[1]
    between = length * chains.mean(axis=1).var(ddof=1)
    within = chains.var(axis=1, ddof=1).mean()
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.sqrt((between / within + length - 1) / length))


def _ess(chains: np.ndarray) -> float:
    """C · T / τ̂ of [C, T], with Geyer's initial monotone sequence (eqs. 10–13)."""
    count, length = chains.shape
    if np.ptp(chains) < _FLAT:
        return float(chains.size)
    covariance = autocovariance(chains).mean(axis=0)  # [T]
    within = covariance[0] * length / (length - 1)
    total = covariance[0] + (chains.mean(axis=1).var(ddof=1) if count > 1 else 0.0)
    rho = 1 - (within - covariance) / total
    rho[0] = 1.0
    kept = _monotone(rho)
    # The floor bounds the size of antithetic chains at C · T · log10(C · T).
    tau = max(-1 + 2 * kept[:-1].sum() + kept[-1], 1 / np.log10(chains.size))
    return float(chains.size / tau)


def _monotone(rho: np.ndarray) -> np.ndarray:
    """Geyer's (1992) sequence: pair sums positive, then decreasing; its last term counts half."""
    length = len(rho)
    kept = np.zeros(length)
    kept[:2] = even, odd = rho[:2]
    t = 1
    while t < length - 3 and even + odd > 0:
        even, odd = rho[t + 1], rho[t + 2]
        if even + odd >= 0:
            kept[t + 1 : t + 3] = even, odd
        t += 2
    last = t - 2
    if even > 0:  # one more term lowers the bias where the sequence is cut
        kept[last + 1] = even
    for t in range(1, last - 1, 2):
        if kept[t + 1] + kept[t + 2] > kept[t - 1] + kept[t]:
            kept[t + 1 : t + 3] = (kept[t - 1] + kept[t]) / 2
    return kept[: last + 2]
