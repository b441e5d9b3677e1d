"""Where the network's weights are, and whether they are all there."""

import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ebm_jax.cache import cache_root
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.inception.network import TAPS, shapes

VARIABLE = "EBM_JAX_INCEPTION"
CONVERT = "python -m ebm_jax.evaluation.inception convert pt_inception-2015-12-05-6726825d.pth"


class InceptionWeights(NamedTuple):
    """Weights of the layers that some taps need.

    Attributes:
      params: {layer: {"kernel", "bias"}}, float32.
      fingerprint: digest of these layers, the same for a complete and a partial file.
      path: of the file.
    """

    params: dict[str, dict[str, np.ndarray]]
    fingerprint: str
    path: Path


def default_path() -> Path:
    """Where the file is looked for when neither an argument nor the environment names one."""
    return cache_root() / "inception" / "inception.npz"


def find_weights(path: str | Path | None = None) -> Path:
    """The weights' file: `path`, or `$EBM_JAX_INCEPTION`, or `default_path()`.

    Raises:
      DataError: there is none.
    """
    named = path or os.environ.get(VARIABLE)
    found = Path(named).expanduser() if named else default_path()
    if not found.is_file():
        origin = "--weights" if path else VARIABLE if named else "the default place"
        raise DataError(
            f"there is no file of Inception weights '{found}' ({origin}); fetch "
            "pt_inception-2015-12-05-6726825d.pth of the pytorch-fid project and run "
            f"`{CONVERT} --out {found}`, or name an existing file by --weights or {VARIABLE}."
        )
    return found


def load_weights(taps: Sequence[str], path: str | Path | None = None) -> InceptionWeights:
    """Reads the layers that some taps need.

    Args:
      taps: keys of TAPS.
      path: as for `find_weights`.

    Returns:
      The weights.

    Raises:
      ConfigError: an unknown tap.
      DataError: no file, an unreadable one, or layers missing or of the wrong shape.
    """
    unknown = [tap for tap in taps if tap not in TAPS]
    if unknown or not taps:
        raise ConfigError(
            f"the Inception features are {', '.join(map(repr, unknown)) or 'none'}; use one of: "
            f"{', '.join(TAPS)}."
        )
    path, expected = find_weights(path), shapes(taps)
    arrays = _read(path, expected)[1]
    _check(path, taps, expected, arrays)
    params: dict[str, dict[str, np.ndarray]] = {}
    digest = hashlib.sha256()
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name], np.float32)
        digest.update(f"{name} {value.shape} ".encode())
        digest.update(value)
        layer, _, kind = name.rpartition("/")
        params.setdefault(layer, {})[kind] = value
    return InceptionWeights(params, digest.hexdigest()[:16], path)


def has_taps(taps: Sequence[str], path: str | Path | None = None) -> bool:
    """Whether the file found for `path` holds every layer of some taps."""
    return shapes(taps).keys() <= _read(find_weights(path), ())[0]


def _read(path: Path, names: Iterable[str]) -> tuple[set[str], dict[str, np.ndarray]]:
    """What the file holds, and those of the named arrays that it has."""
    try:
        with np.load(path, allow_pickle=False) as file:
            present = set(file.files)
            return present, {name: file[name] for name in names if name in present}
    except Exception as error:  # a damaged zip raises a dozen kinds
        raise DataError(
            f"the Inception weights '{path}' cannot be read ({error}); convert them again: "
            f"`{CONVERT}`."
        ) from error


def _check(path, taps, expected, arrays) -> None:
    missing = {name.rpartition("/")[0] for name in expected if name not in arrays}
    missing = sorted(missing, key=_in_graph_order)
    if missing:
        usable = [tap for tap in TAPS if shapes([tap]).keys() <= arrays.keys()]
        instead = f"use features {', '.join(usable)}, or convert" if usable else "convert"
        others = f" and {len(missing) - 8} others" if len(missing) > 8 else ""
        raise DataError(
            f"the Inception weights '{path}' have no {', '.join(missing[:8])}{others}, which "
            f"features {', '.join(taps)} need; {instead} the whole network: `{CONVERT}`."
        )
    for name, shape in expected.items():
        value = arrays[name]
        if value.shape != shape or value.dtype.kind != "f" or not np.isfinite(value).all():
            raise DataError(
                f"the Inception weights '{path}' have {name} of shape {value.shape} and dtype "
                f"{value.dtype}, expected finite floats of shape {shape}; convert them again: "
                f"`{CONVERT}`."
            )


def _in_graph_order(layer: str) -> list[str | int]:
    """Sorts mixed_9 before mixed_10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", layer)]
