"""Files of reference statistics: `mu`, `sigma` and, in ours, `n`."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ebm_jax.errors import DataError
from ebm_jax.evaluation.frechet import Moments
from ebm_jax.reporting.files import write_npz


class Statistics(NamedTuple):
    """A Gaussian fit of features, as read from a file.

    Attributes:
      moments: mean and covariance; `count` is 0 where the file does not say.
      features: float32 [m, D], a part of the rows, or None.
    """

    moments: Moments
    features: np.ndarray | None = None


def read_statistics(path: str | Path | io.BytesIO) -> Statistics:
    """Reads `mu` [D], `sigma` [D, D] and, where present, `n` and `features`.

    Raises:
      DataError: no such file, or it holds something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files if name != "images"}
    except Exception as error:  # np.load raises anything from BadZipFile to ValueError
        raise DataError(
            f"the statistics '{path}' cannot be read ({error}); make them again."
        ) from (error)
    if not {"mu", "sigma"} <= arrays.keys():
        raise DataError(
            f"'{path}' has neither `images` nor `mu` and `sigma`, but "
            f"{', '.join(sorted(arrays)) or 'nothing'}; store images uint8 [N, H, W, C] or "
            "reference statistics under these names."
        )
    mean, covariance = (np.asarray(arrays[name]) for name in ("mu", "sigma"))
    floats = mean.dtype.kind == covariance.dtype.kind == "f"
    if mean.ndim != 1 or covariance.shape != mean.shape * 2 or not floats:
        raise DataError(
            f"'{path}' has mu of shape {mean.shape} and sigma of shape {covariance.shape}; they "
            "must be floats [D] and [D, D]."
        )
    mean, covariance = mean.astype(np.float64), covariance.astype(np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise DataError(f"the statistics '{path}' hold NaN or infinity; make them again.")
    scale = max(np.abs(covariance).max(), 1e-12)
    if np.abs(covariance - covariance.T).max() > 1e-4 * scale:
        raise DataError(f"'{path}' has a sigma that is not symmetric; make the statistics again.")
    if np.linalg.eigvalsh(0.5 * (covariance + covariance.T))[0] < -1e-4 * scale:
        raise DataError(f"'{path}' has a sigma with negative eigenvalues: no covariance.")
    told = arrays.get("n", np.asarray(0))
    whole = told.dtype.kind in "iuf" and told.size == 1 and np.isfinite(told).all()
    if not whole or told.item() < 0 or told.item() != int(told.item()):
        raise DataError(f"'{path}' has n = {told}; it must be a whole number, or absent.")
    count = int(told.item())
    covariance = 0.5 * (covariance + covariance.T)
    return Statistics(Moments(mean, covariance, count), arrays.get("features"))


def write_statistics(path: str | Path, statistics: Statistics) -> Path:
    """Writes what `read_statistics` reads, atomically; returns the path."""
    mean, covariance, count = statistics.moments
    arrays = {"mu": mean, "sigma": covariance, "n": np.asarray(count)}
    if statistics.features is not None:
        arrays["features"] = statistics.features
    return write_npz(path, arrays)
