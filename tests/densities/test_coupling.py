"""The coupling of attributes with latents, against sums over all values."""

import itertools

import jax.numpy as jnp
import numpy as np

from ebm_jax.densities.coupling import log_prob, marginal

SIZES = (3, 2, 4)


def logits():
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.normal(size=(5, size)), jnp.float32) for size in SIZES)


def joint():
    """exp Σ_a F_a(z)_{y_a} for every y, [5, 3, 2, 4]."""
    found = np.empty((5, *SIZES))
    for y in itertools.product(*map(range, SIZES)):
        found[:, *y] = np.exp(
            sum(np.asarray(each)[:, v] for each, v in zip(logits(), y, strict=True))
        )
    return found


def test_marginal_sums_over_all_values():
    np.testing.assert_allclose(marginal(logits()), np.log(joint().sum((1, 2, 3))), rtol=1e-5)


def test_log_prob_is_conditional_and_marginal_over_what_is_free():
    table = joint() / joint().sum((1, 2, 3), keepdims=True)
    values = jnp.asarray([[2, 1, 3], [0, -1, 2], [-1, -1, 0], [-1, -1, -1], [1, 0, -1]])
    expected = [
        table[0, 2, 1, 3],
        table[1, 0, :, 2].sum(),
        table[2, :, :, 0].sum(),
        1.0,
        table[4, 1, 0, :].sum(),
    ]
    np.testing.assert_allclose(log_prob(logits(), values), np.log(expected), rtol=1e-4, atol=1e-6)
