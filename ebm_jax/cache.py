"""Where compiled programs and trained classifiers are kept between runs."""

import os
from pathlib import Path


def cache_root() -> Path:
    """`$EBM_JAX_CACHE`, or else `~/.cache/ebm_jax`."""
    return Path(os.environ.get("EBM_JAX_CACHE") or Path.home() / ".cache" / "ebm_jax")
