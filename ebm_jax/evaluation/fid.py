"""Fréchet inception distance of two sets on disk.

    python -m ebm_jax.evaluation.fid A B [--features 64|192|768|1280|2048] [--resize clean|legacy]
                                         [--weights PATH]

A and B are folders of images (searched with their sub-folders), .npz files of uint8 `images`, or
.npz files of statistics (`mu`, `sigma`, perhaps `n`). The last line is one JSON object.
"""

import argparse
import json
import sys
from pathlib import Path

from ebm_jax.errors import UserError, as_user_error
from ebm_jax.evaluation.fid_protocol import (
    STANDARD,
    WIDTHS,
    check_count,
    check_widths,
    fid,
    metric_name,
    protocol,
)
from ebm_jax.evaluation.frechet import moments_of_chunks
from ebm_jax.evaluation.image_files import open_images
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.inception.resizing import MODES
from ebm_jax.evaluation.statistics import read_statistics


def main(argv: list[str] | None = None) -> int:
    """Compares two sets; returns the exit code (2: usage, 3: data or weights)."""
    parser = argparse.ArgumentParser(
        prog="python -m ebm_jax.evaluation.fid",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("a", metavar="A", help="samples")
    parser.add_argument("b", metavar="B", help="what they are compared with")
    parser.add_argument("--features", choices=WIDTHS, default=STANDARD)
    parser.add_argument("--weights", metavar="PATH", help="the network's .npz")
    parser.add_argument("--resize", choices=tuple(MODES), default="clean")
    options = parser.parse_args(argv)
    try:
        result = compare(
            options.a, options.b, options.features, options.resize, weights=options.weights
        )
        print(json.dumps(result, ensure_ascii=False))
        return 0
    except (UserError, OSError, KeyboardInterrupt) as error:
        ended = as_user_error(error)
        print(f"error: {ended}", file=sys.stderr)
        return ended.exit_code


def compare(
    a: str | Path,
    b: str | Path,
    features: str = STANDARD,
    resize: str = "clean",
    weights: str | Path | None = None,
) -> dict:
    """FID of two sets on disk.

    Args:
      a, b: folders of images, .npz of images or of statistics.
      features: width of the tap.
      resize: clean | legacy.
      weights: the network's file, see `inception.weights.find_weights`; not needed between two
        files of statistics.

    Returns:
      metric, value, n_a, n_b (None when a file does not say) and protocol.

    Raises:
      ConfigError: too few images.
      DataError: unreadable or missing images, statistics or weights.
    """
    paths = (a, b)
    sources = [open_images(path, resize) for path in paths]  # None: statistics
    images = [source for source in sources if source is not None]
    fits = [
        read_statistics(path).moments if source is None else None
        for path, source in zip(paths, sources, strict=True)
    ]
    for fit in fits:
        if fit is not None and images:
            check_widths(len(fit.mean), int(features))  # now: extraction takes long
    for source in images:
        check_count(source.count, int(features), f"images in '{source.name}'")
    told = "Fréchet distance of two files of statistics"
    if images:
        extractor = open_extractor([features], resize, weights)
        told = protocol(features, resize, extractor.fingerprint)
        fits = [
            fit or moments_of_chunks(extractor(chunk)[features] for chunk in source.chunks())
            for fit, source in zip(fits, sources, strict=True)
        ]
        others = [f"'{path}'" for path, source in zip(paths, sources, strict=True) if not source]
        if others:
            told += f"; {others[0]} is a file of statistics, which does not say how it was made"
    value = fid(*fits)
    counts = [fit.count or None for fit in fits]
    # Nobody knows how the images behind two files of statistics were resized.
    name = metric_name(str(len(fits[0].mean)), counts[0] or 0, resize if images else "statistics")
    return {
        "metric": name,
        "value": value,
        "n_a": counts[0],
        "n_b": counts[1],
        "protocol": told,
    }


if __name__ == "__main__":
    sys.exit(main())
