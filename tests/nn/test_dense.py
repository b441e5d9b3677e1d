"""Dense layers are Flax's, with gradients that loops need not prepare again at every step."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.nn.dense import Dense, transposed


@pytest.mark.parametrize("dtype, tolerance", [(jnp.float32, 1e-6), (jnp.bfloat16, 1e-6)])
@pytest.mark.parametrize("shape", [(5, 3), (2, 4, 3)])
@pytest.mark.parametrize("use_bias", [True, False])
def test_it_is_flax_s_layer(shape, dtype, tolerance, use_bias):
    """The same parameters from the same key; values and gradients."""
    options = dict(features=4, use_bias=use_bias, dtype=dtype)
    ours, theirs = Dense(**options), nn.Dense(**options)
    x = jax.random.normal(jax.random.key(1), shape)
    variables = ours.init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, variables, theirs.init(jax.random.key(0), x))
    biased = jax.tree.map(lambda leaf: leaf + 0.1, variables)

    def loss(layer):
        return lambda v, x: jnp.sum(jnp.sin(layer.apply(v, x).astype(jnp.float32)))

    assert ours.apply(biased, x).dtype == dtype
    np.testing.assert_allclose(
        ours.apply(biased, x).astype(jnp.float32),
        theirs.apply(biased, x).astype(jnp.float32),
        rtol=tolerance,
    )
    for a, b in zip(
        jax.tree.leaves(jax.grad(loss(ours), (0, 1))(biased, x)),
        jax.tree.leaves(jax.grad(loss(theirs), (0, 1))(biased, x)),
        strict=True,
    ):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-2 if dtype == jnp.bfloat16 else 1e-6)


def test_a_chain_transposes_kernels_once():
    """XLA hoists what is done to the kernel alone out of the loop."""
    layer = Dense(8)
    x = jnp.ones((4, 8))
    variables = layer.init(jax.random.key(0), x)

    @jax.jit
    def chain(variables, x):
        def step(x, _):
            return x - jax.grad(lambda x: jnp.sum(layer.apply(variables, x) ** 2))(x), None

        return jax.lax.scan(step, x, None, length=3)[0]

    loops, entry = chain.lower(variables, x).compile().as_text().split("ENTRY")
    assert loops.count(" dot(") == loops.count("rhs_contracting_dims={0}") == 2
    assert entry.count("f32[8,8]{1,0} fusion(") == 1


def test_transposed_swaps_the_last_axes():
    x = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(transposed(x), x.swapaxes(1, 2))
