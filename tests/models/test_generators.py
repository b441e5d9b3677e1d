"""Generators: sizes, parameter counts and transposed-convolution arithmetic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.models.generators import ConvGenerator, MLPGenerator


def shapes(net, latent_size, batch=2):
    """(output shape, parameter shapes), nothing computed."""
    z = jax.ShapeDtypeStruct((batch, latent_size), jnp.float32)
    out, params = jax.eval_shape(net.init_with_output, jax.random.key(0), z)
    return out.shape, params["params"]


def count(params):
    return sum(np.prod(p.shape) for p in jax.tree.leaves(params))


def torch_size(side, kernel, stride, padding):
    """Output side of torch's ConvTranspose2d."""
    return (side - 1) * stride - 2 * padding + kernel


def test_cifar10_generator_has_the_papers_parameters():
    """18.9 M (§1.1): k8 128→1024, k4 →512, k4 →256, k3 →3, each with biases."""
    out, params = shapes(ConvGenerator(32, 3, (1024, 512, 256)), 128)
    expected = (
        (8 * 8 * 128 * 1024 + 1024)
        + (4 * 4 * 1024 * 512 + 512)
        + (4 * 4 * 512 * 256 + 256)
        + (3 * 3 * 256 * 3 + 3)
    )
    assert expected == 18_883_075
    assert count(params) == expected
    assert out == (2, 32, 32, 3)


@pytest.mark.parametrize(
    ("side", "channels", "first"),
    [(32, (8, 4, 2), 8), (28, (8, 4, 2), 7), (28, (8, 4), 14), (32, (8,), 32), (64, (8, 4, 2), 16)],
)
def test_conv_sizes_are_torchs(side, channels, first):
    out, params = shapes(ConvGenerator(side, 3, channels), 5)
    assert params["ConvTranspose_0"]["kernel"].shape[:2] == (first, first)
    expected = torch_size(1, first, 1, 0)
    for _ in channels[1:]:
        expected = torch_size(expected, 4, 2, 1)
    assert torch_size(expected, 3, 1, 1) == side
    assert out == (2, side, side, 3)


def conv_transpose(x, kernel, bias, stride, padding):
    """torch's definition, x[i] adds kernel to out[stride·i − padding …], kernel turned round.

    x [H, W, C], kernel [k, k, C, D] as flax stores it.
    """
    side, k = x.shape[0], kernel.shape[0]
    out = np.zeros([(side - 1) * stride + k] * 2 + [kernel.shape[-1]])
    for i, j in np.ndindex(side, side):
        rows, columns = slice(stride * i, stride * i + k), slice(stride * j, stride * j + k)
        out[rows, columns] += np.einsum("c,hwcd->hwd", x[i, j], kernel[::-1, ::-1])
    end = out.shape[0] - padding
    return out[padding:end, padding:end] + bias


def test_conv_generator_is_torchs_arithmetic():
    net = ConvGenerator(8, 2, (4, 3, 2))
    rng = np.random.default_rng(0)
    z = rng.normal(size=(1, 5)).astype(np.float32)
    params = jax.tree.map(lambda p: np.float32(0.3 * rng.normal(size=p.shape)), shapes(net, 5)[1])
    layers = [params[f"ConvTranspose_{i}"] for i in range(3)] + [params["Conv_0"]]
    h = z[0][None, None]
    for layer, stride, padding in zip(layers, (1, 2, 2, 1), (0, 1, 1, 1), strict=True):
        h = conv_transpose(
            h, np.asarray(layer["kernel"]), np.asarray(layer["bias"]), stride, padding
        )
        if layer is not layers[-1]:
            h = np.where(h > 0, h, 0.2 * h)
    got = net.apply({"params": params}, z)[0]
    np.testing.assert_allclose(got, h, rtol=1e-4, atol=1e-5)


def test_mlp_generator_fills_the_image():
    out, params = shapes(MLPGenerator(8, 3, (16,)), 5)
    assert out == (2, 8, 8, 3)
    assert count(params) == (5 * 16 + 16) + (16 * 192 + 192)


@pytest.mark.parametrize("net", [ConvGenerator(8, 1, (4, 2)), MLPGenerator(8, 1, (4,))])
def test_each_image_depends_on_its_own_latent_only(net):
    z = jax.random.normal(jax.random.key(1), (3, 5))
    params = net.init(jax.random.key(0), z)
    both, alone = net.apply(params, z), net.apply(params, z[1:2])
    np.testing.assert_allclose(both[1:2], alone, rtol=1e-5, atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 1e-3
