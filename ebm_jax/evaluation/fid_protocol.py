"""What FID is (Heusel et al. 2017), when it may be computed, and what the number is called."""

import re

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.frechet import Moments, frechet_distance
from ebm_jax.evaluation.inception.network import TAPS
from ebm_jax.evaluation.inception.resizing import MODES

WIDTHS = ("64", "192", "768", "1280", "2048")
STANDARD = "2048"


def fid(a: Moments, b: Moments) -> float:
    """Fréchet distance of two fits whose covariances can have full rank.

    Args:
      a, b: fits of features of one tap; `count` 0 is unknown and accepted.

    Returns:
      The distance, ≥ 0, in float64.

    Raises:
      ConfigError: fewer samples than features + 1, or different widths.
    """
    check_widths(len(a.mean), len(b.mean))
    for fit in (a, b):
        if fit.count:
            check_count(fit.count, len(fit.mean))
    return frechet_distance(a, b)


def check_widths(a: int, b: int) -> None:
    """Raises ConfigError unless both sets have features of one width."""
    if a != b:
        raise ConfigError(
            f"FID compares features of one width, but these have {a} and {b}; choose --features "
            "to fit the statistics."
        )


def check_count(count: int, width: int, what: str = "samples") -> None:
    """Raises ConfigError when `count` images leave the covariance of `width` features singular."""
    if count < width + 1:
        smaller = [name for name in WIDTHS if int(name) < count]
        instead = f", or compare features of width {smaller[-1]}" if smaller else ""
        raise ConfigError(
            f"FID in {width} features needs at least {width + 1} {what} for a covariance of full "
            f"rank, but got {count}; use more{instead}."
        )


def metric_name(features: str, count: int, resize: str, reference: str = "") -> str:
    """What the number may be called: `fid50k_train_clean`, `fid768_10k_train_clean`.

    Counts that are no multiple of 1000 are written out (`fid768_n800_clean`), so that they are not
    taken for a width.

    Args:
      features: width of the features; 2048 goes without saying.
      count: samples; 0 when unknown.
      resize: clean | legacy.
      reference: what they are compared with, e.g. the split's name.
    """
    size = short(count)
    if not size.endswith("k"):
        size = f"n{size}"
    width = "" if features == STANDARD else features
    head = f"fid{size}" if not width and size.endswith("k") else f"fid{width}_{size}"
    compared = re.sub(r"[^A-Za-z0-9]+", "", reference)  # of a split such as train[:80%]
    return "_".join(part for part in (head, compared, resize) if part)


def short(count: int) -> str:
    """A count as in names: 50k, 800, or unknown for 0."""
    return f"{count // 1000}k" if count and count % 1000 == 0 else str(count or "unknown")


def protocol(features: str, resize: str, fingerprint: str) -> str:
    """How features are taken, as the beginning of a sentence."""
    return (
        f"Fréchet distance in the {features} features of Inception-v3 of 2015-12-05 "
        f"({TAPS[features]}; weights {fingerprint}), uint8 RGB, grey repeated, resize {resize}: "
        f"{MODES[resize]}, (x − 128) / 128, float64 moments with n − 1"
        + ("" if features == STANDARD else "; its scale is not that of published 2048-d FID")
    )
