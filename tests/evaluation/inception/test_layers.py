"""Every pool and every block against its plain definition, with made-up weights."""

import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.evaluation.inception import layers, network


def neighbours(x, i, j):
    """The pixels [n, C] of the 3×3 window around (i, j) that exist."""
    return x[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].reshape(-1, x.shape[-1])


@pytest.mark.parametrize("shape", [(2, 5, 5, 3), (1, 4, 7, 2), (1, 1, 3, 1)])
def test_pools_by_their_definition(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32) - 1.0
    mean, largest = np.empty_like(x), np.empty_like(x)
    for b, i, j in np.ndindex(*shape[:3]):
        window = neighbours(x[b], i, j)
        mean[b, i, j], largest[b, i, j] = window.mean(0), window.max(0)
    np.testing.assert_allclose(layers.average_pool(jnp.asarray(x)), mean, atol=1e-6)
    np.testing.assert_array_equal(layers.max_pool_same(jnp.asarray(x)), largest)


@pytest.mark.parametrize("side, expected", [(7, 3), (8, 3), (9, 4), (147, 73), (71, 35), (35, 17)])
def test_strided_max_pool(side, expected):
    x = np.random.default_rng(0).normal(size=(1, side, side, 2)).astype(np.float32)
    got = np.asarray(layers.max_pool(jnp.asarray(x)))
    assert got.shape == (1, expected, expected, 2)
    for i, j in [(0, 0), (1, 2), (expected - 1, expected - 1)]:
        window = x[0, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].reshape(9, 2)
        np.testing.assert_array_equal(got[0, i, j], window.max(0))


def test_convolution_has_bias_and_relu():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1, 6, 6, 2)).astype(np.float32)
    kernel, bias = rng.normal(size=(3, 3, 2, 4)).astype(np.float32), np.full(4, 0.5, np.float32)
    got = np.asarray(layers.conv(x, (kernel, bias), 2, "VALID"))
    assert got.shape == (1, 2, 2, 4)
    expected = np.einsum("ijc,ijco->o", x[0, 2:5, 0:3], kernel) + bias
    assert (expected < 0).any()
    np.testing.assert_allclose(got[0, 1, 0], np.maximum(expected, 0), atol=1e-5)


# The blocks again, one convolution at a time, as the paper draws them.


def weights_of(name, size, inputs, outputs):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    scale = np.sqrt(2 / (size[0] * size[1] * inputs))
    kernel = scale * rng.normal(size=(*size, inputs, outputs))
    return jnp.asarray(kernel, jnp.float32), jnp.asarray(
        0.1 * rng.normal(size=outputs), jnp.float32
    )


class Plain:
    """Layers by name, each a convolution of its own."""

    def __init__(self, name, asked):
        self.name, self.asked = name, asked

    def __call__(self, x, layer, stride=1, padding="SAME"):
        kernel, bias = self.asked.pop(f"{self.name}_{layer}")
        y = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        return jnp.maximum(y + bias.reshape(1, 1, 1, -1), 0)


def average(x):
    def total(values):
        return jax.lax.reduce_window(values, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")

    return total(x) / total(jnp.ones_like(x))


def largest(x, stride, padding):
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, padding)


def plain_35(x, f):
    five = f(f(x, "tower_conv"), "tower_conv_1")
    three = f(f(f(x, "tower_1_conv"), "tower_1_conv_1"), "tower_1_conv_2")
    return [f(x, "conv"), five, three, f(average(x), "tower_2_conv")]


def plain_35_reduction(x, f):
    two = f(f(f(x, "tower_conv"), "tower_conv_1"), "tower_conv_2", 2, "VALID")
    return [f(x, "conv", 2, "VALID"), two, largest(x, 2, "VALID")]


def plain_17(x, f):
    two = f(f(f(x, "tower_conv"), "tower_conv_1"), "tower_conv_2")
    three = f(x, "tower_1_conv")
    for i in range(1, 5):
        three = f(three, f"tower_1_conv_{i}")
    return [f(x, "conv"), two, three, f(average(x), "tower_2_conv")]


def plain_17_reduction(x, f):
    two = f(f(f(x, "tower_1_conv"), "tower_1_conv_1"), "tower_1_conv_2")
    one = f(f(x, "tower_conv"), "tower_conv_1", 2, "VALID")
    return [one, f(two, "tower_1_conv_3", 2, "VALID"), largest(x, 2, "VALID")]


def plain_8(x, f, last):
    two = f(x, "tower_conv")
    three = f(f(x, "tower_1_conv"), "tower_1_conv_1")
    split = [
        f(v, f"{t}_mixed_conv{i}")
        for t, v in (("tower", two), ("tower_1", three))
        for i in ("", "_1")
    ]
    pooled = largest(x, 1, "SAME") if last else average(x)
    return [f(x, "conv"), *split, f(pooled, "tower_2_conv")]


BLOCKS = {
    "mixed": (network.block_35, dict(pool=32), plain_35, {}, 192, (5, 5), 256),
    "mixed_1": (network.block_35, dict(pool=64), plain_35, {}, 256, (5, 5), 288),
    "mixed_3": (network.reduction_35, {}, plain_35_reduction, {}, 288, (7, 7), 768),
    "mixed_4": (network.block_17, dict(width=128), plain_17, {}, 768, (9, 8), 768),
    "mixed_8": (network.reduction_17, {}, plain_17_reduction, {}, 768, (7, 7), 1280),
    "mixed_9": (network.block_8, dict(last=False), plain_8, dict(last=False), 1280, (4, 5), 2048),
    "mixed_10": (network.block_8, dict(last=True), plain_8, dict(last=True), 2048, (4, 5), 2048),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_block_is_its_convolutions_one_by_one(name):
    block, options, plain, plain_options, inputs, size, outputs = BLOCKS[name]
    x = jnp.asarray(np.random.default_rng(1).normal(size=(1, *size, inputs)), jnp.float32)
    asked = {}

    def layer(layer_name, kernel_size, n, m):
        assert layer_name not in asked
        asked[layer_name] = weights_of(layer_name, kernel_size, n, m)
        return asked[layer_name]

    got = block(x, layer, name, **options)
    expected = jnp.concatenate(plain(x, Plain(name, asked), **plain_options), axis=-1)
    assert got.shape[-1] == outputs and not asked
    np.testing.assert_allclose(got, expected, atol=2e-5)


def test_the_graph_is_its_blocks_in_order():
    """All taps, on an image whose last blocks still have 2×2 pixels to pool over."""
    x = jnp.asarray(np.random.default_rng(2).normal(size=(1, 107, 107, 3)), jnp.float32)
    asked = {}

    def layer(name, size, inputs, outputs):
        asked[name] = weights_of(name, size, inputs, outputs)
        return asked[name]

    got = dict(network.activations(x, layer))

    def f(x, name, *options):
        return Plain("", {f"_{name}": asked.pop(name)})(x, name, *options)

    def block(x, name, plain, **options):
        return jnp.concatenate(plain(x, Plain(name, asked), **options), axis=-1)

    x = f(f(f(x, "conv", 2, "VALID"), "conv_1", 1, "VALID"), "conv_2")
    expected = {"64": (x := largest(x, 2, "VALID"))}
    x = f(f(x, "conv_3"), "conv_4", 1, "VALID")
    expected["192"] = x = largest(x, 2, "VALID")
    for name in ("mixed", "mixed_1", "mixed_2"):
        x = block(x, name, plain_35)
    x = block(x, "mixed_3", plain_35_reduction)
    for name in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):
        x = block(x, name, plain_17)
    expected["768"] = x
    expected["1280"] = x = block(x, "mixed_8", plain_17_reduction)
    x = block(x, "mixed_9", plain_8, last=False)
    expected["2048"] = x = block(x, "mixed_10", plain_8, last=True)
    assert x.shape[1:3] == (2, 2) and not asked and got.keys() == expected.keys()
    for tap, value in expected.items():
        np.testing.assert_allclose(got[tap], value, atol=1e-4 * float(value.std()), rtol=1e-4)
