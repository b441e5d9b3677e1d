"""Weights for tests: the real file where there is one, and small made-up ones for the plumbing."""

import os
from pathlib import Path

import numpy as np
import pytest

from ebm_jax.evaluation.inception.network import shapes

ROOT = Path(__file__).resolve().parents[3]


def real_weights_path():
    """The real weights, complete or in part; None without them."""
    named = os.environ.get("EBM_JAX_INCEPTION")
    found = [Path(named)] if named else sorted((ROOT.parent / "shared" / "inception").glob("*.npz"))
    return found[0] if found and found[0].is_file() else None


@pytest.fixture(scope="session")
def real_weights():
    path = real_weights_path()
    if path is None:
        pytest.skip("no Inception weights: set EBM_JAX_INCEPTION")
    return path


def made_up(names_and_shapes, seed=0):
    """Arrays of the right shapes whose activations neither vanish nor explode."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in names_and_shapes.items():
        scale = np.sqrt(2 / np.prod(shape[:-1])) if len(shape) > 1 else 0.1
        arrays[name] = (scale * rng.normal(size=shape)).astype(np.float32)
    return arrays


@pytest.fixture(scope="session")
def stem_weights(tmp_path_factory):
    """A file with made-up weights of the 64-d tap: three convolutions, and nothing else."""
    path = tmp_path_factory.mktemp("inception") / "stem.npz"
    np.savez(path, **made_up(shapes(["64"])))
    return path
