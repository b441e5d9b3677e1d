"""The MLP against the same arithmetic in numpy."""

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax.nn.mlp import MLP

X = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)


def test_it_is_linear_layers_with_leaky_relu_between():
    net = MLP((7, 4), 2)
    params = net.init(jax.random.key(0), X)["params"]
    params = jax.tree.map(lambda p: np.asarray(p) + 0.1, params)  # biases start at 0
    h = X.reshape(5, 6)
    for i in range(3):
        layer = params[f"Dense_{i}"]
        h = h @ layer["kernel"] + layer["bias"]
        h = h if i == 2 else np.where(h > 0, h, 0.2 * h)
    np.testing.assert_allclose(net.apply({"params": params}, X), h, rtol=1e-5)


def test_kernels_start_xavier_normal():
    """Variance 2 / (fan_in + fan_out)."""
    params = MLP((200,), 100).init(jax.random.key(0), jnp.zeros((1, 300)))["params"]
    np.testing.assert_allclose(np.var(params["Dense_0"]["kernel"]), 2 / 500, rtol=0.03)
    np.testing.assert_allclose(np.var(params["Dense_1"]["kernel"]), 2 / 300, rtol=0.05)


def test_a_zero_initialised_last_layer_gives_exactly_zero_and_still_learns():
    net = MLP((7,), 2, zero_init_last=True)
    params = net.init(jax.random.key(0), X)
    np.testing.assert_array_equal(net.apply(params, X), 0.0)
    grad = jax.grad(lambda p: net.apply(p, X).sum())(params)["params"]
    assert np.abs(grad["Dense_1"]["kernel"]).max() > 0


def test_half_precision_keeps_parameters_and_results_in_float32():
    net = MLP((7,), 2, dtype=jnp.bfloat16)
    params = net.init(jax.random.key(0), X)
    assert {p.dtype for p in jax.tree.leaves(params)} == {jnp.dtype("float32")}
    assert net.apply(params, X).dtype == jnp.float32
