"""A nonlinear three-layer prior, the same function in float32 and float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

SIZES = (4, 3, 2)  # bottom first
BATCH = 5


def weights(rows, columns, seed):
    return np.random.default_rng(seed).normal(size=(rows, columns)) / np.sqrt(rows)


def nonlinear_conditional(i, above):
    """Mean and std of layer i from all layers over it; std between 0.4 and 2.5."""
    assert i < len(SIZES) - 1, "the top layer has no conditional"
    assert [a.shape[1] for a in above] == list(SIZES[i + 1 :])
    joined = jnp.concatenate(above, axis=-1)
    mean_weights, std_weights = (
        jnp.asarray(weights(joined.shape[1], SIZES[i], seed=10 * i + part), joined.dtype)
        for part in (0, 1)
    )
    return jnp.sin(joined @ mean_weights), jnp.exp(0.9 * jnp.tanh(joined @ std_weights))


def normal_latents(seed, batch=BATCH, sizes=SIZES):
    keys = jax.random.split(jax.random.key(seed), len(sizes))
    return tuple(jax.random.normal(k, (batch, n)) for k, n in zip(keys, sizes, strict=True))


@pytest.fixture
def conditional():
    return nonlinear_conditional


@pytest.fixture
def latents():
    """seed → (z_1, z_2, z_3), each [5, its size]."""
    return normal_latents
