"""The convolutional bottom of the inference net."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.models.inference import ConvInference


def shapes(side, image_channels, out, channels):
    x = jax.ShapeDtypeStruct((2, side, side, image_channels), jnp.float32)
    net = ConvInference(out, channels)
    result, params = jax.eval_shape(net.init_with_output, jax.random.key(0), x)
    return result.shape, params["params"]


def test_cifar10_net_has_the_papers_layers():
    """§1.1: k3 3→256, k4 s2 →512, k4 s2 →1024, then one 8×8 kernel to 2·128."""
    out, params = shapes(32, 3, 256, (256, 512, 1024))
    assert out == (2, 256)
    kernels = [params[n]["kernel"].shape for n in ("Conv_0", "Conv_1", "Conv_2", "Dense_0")]
    assert kernels == [(3, 3, 3, 256), (4, 4, 256, 512), (4, 4, 512, 1024), (8 * 8 * 1024, 256)]


@pytest.mark.parametrize("side", [28, 32])
def test_each_further_width_halves_the_side(side):
    """torch's k4 s2 p1: (n + 2 − 4) // 2 + 1 = n / 2."""
    _, params = shapes(side, 1, 6, (2, 3, 5))
    assert params["Dense_0"]["kernel"].shape[0] == (side // 4) ** 2 * 5


def test_strided_convolutions_are_torchs_padding_of_one():
    """A kernel that only looks at tap (0, 0) reads pixel (2i − 1, 2j − 1), zero outside."""
    net, x = ConvInference(16, (1, 1)), jnp.arange(1.0, 65.0).reshape(1, 8, 8, 1)
    params = net.init(jax.random.key(0), x)["params"]
    params = jax.tree.map(jnp.zeros_like, params)
    params["Conv_0"]["kernel"] = params["Conv_0"]["kernel"].at[1, 1].set(1.0)  # the image itself
    params["Conv_1"]["kernel"] = params["Conv_1"]["kernel"].at[0, 0].set(1.0)
    params["Dense_0"]["kernel"] = jnp.eye(16)
    expected = np.zeros((4, 4))
    expected[1:, 1:] = np.asarray(x)[0, 1:7:2, 1:7:2, 0]
    np.testing.assert_array_equal(net.apply({"params": params}, x).reshape(4, 4), expected)
