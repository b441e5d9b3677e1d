"""Hat EBM's nets: the paper's sizes, and what their blocks compute."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.models.hat_nets import (
    ResNetEnergy,
    ResNetGenerator,
    SphereDecoder,
    SphereEncoder,
    on_sphere,
)
from ebm_jax.nn.residual import DownBlock, UpBlock, double, halve


def millions(module, *shape):
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, *shape)))
    return sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) / 1e6


@pytest.mark.parametrize(
    "module, shape, expected",
    [
        (ResNetEnergy((256,) * 4, 2), (32, 32, 3), "4.2"),
        (ResNetEnergy((64, 128, 256, 512, 1024), 5), (64, 64, 3), "19.5"),
        (ResNetGenerator(256, (256,) * 3, 32, 3), (128,), "4.3"),
        (ResNetGenerator(1024, (512, 256, 128, 64), 64, 3), (128,), "12.2"),
        (ResNetGenerator(1024, (1024, 512, 256, 128, 64), 128, 3), (128,), "32"),
        (SphereDecoder(256, 3), (16, 16, 1), "4.21"),  # a stem of two convolutions, and blocks
        (SphereEncoder(256), (32, 32, 3), "4.21"),
    ],
)
def test_sizes_are_the_papers(module, shape, expected):
    """In millions of parameters, to the digits given (§3.2)."""
    decimals = len(expected.partition(".")[2])
    assert f"{millions(module, *shape):.{decimals}f}" == expected


def variables_of(module, *inputs):
    """Random parameters, statistics 0 and 1; compiling Flax's own initialisation takes longer."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *inputs)
    rng = np.random.default_rng(0)

    def fill(path, leaf):
        name = path[-1].key
        if name in ("mean", "var"):
            return jnp.full(leaf.shape, float(name == "var"))
        return jnp.asarray(rng.normal(0.0, 0.3, leaf.shape), leaf.dtype)

    return jax.tree.map_with_path(fill, shapes)


def run(module, *inputs):
    variables = variables_of(module, *inputs)
    return jax.jit(module.apply)(variables, *inputs), variables


@pytest.mark.parametrize(
    "module, shape, expected",
    [
        (ResNetEnergy((4, 6), 1), (8, 8, 1), ()),
        (ResNetGenerator(6, (5, 4), 8, 3), (7,), (8, 8, 3)),
        (SphereDecoder(4, 3), (4, 4, 1), (8, 8, 3)),
        (SphereEncoder(4), (8, 8, 3), (4, 4, 1)),
    ],
)
def test_shapes_and_ranges(module, shape, expected):
    x = 30.0 * jax.random.normal(jax.random.key(1), (2, *shape))
    out, _ = run(module, x)
    assert out.shape == (2, *expected) and out.dtype == jnp.float32
    factor = getattr(module, "out_factor", None)
    if factor:
        assert np.abs(out).max() <= factor and np.abs(out).max() > factor / 2
    if isinstance(module, SphereEncoder):
        np.testing.assert_allclose(np.linalg.norm(out.reshape(2, -1), axis=1), 4.0, rtol=1e-5)


def test_down_block_is_what_its_formula_says():
    """ReLU–conv3–ReLU–conv3–pool + conv1–pool, by Flax's own layers."""
    x = jax.random.normal(jax.random.key(1), (2, 6, 6, 3))
    out, variables = run(DownBlock(5, down=True), x)
    p = variables["params"]

    def plain(name, size, h):
        return nn.Conv(5, (size, size)).apply({"params": p[name]}, h)

    h = plain("conv_1", 3, nn.relu(plain("conv_0", 3, nn.relu(x))))
    pooled = nn.avg_pool(h + plain("shortcut", 1, x), (2, 2), (2, 2))
    np.testing.assert_allclose(out, pooled, atol=1e-5)
    first, _ = run(DownBlock(5, down=True, first=True), x)
    assert abs(first - out).max() > 0.01  # no ReLU before the image's block


def test_up_block_is_what_its_formula_says():
    """With statistics of its own for the two normalisations."""
    x = jax.random.normal(jax.random.key(1), (2, 3, 3, 4))
    block = UpBlock(5)
    variables = variables_of(block, x)
    rng = np.random.default_rng(0)
    stats = jax.tree.map(
        lambda leaf: jnp.asarray(rng.uniform(0.5, 2.0, leaf.shape), jnp.float32),
        variables["batch_stats"],
    )
    p = variables["params"]

    def plain(name, size, h):
        return nn.Conv(5, (size, size)).apply({"params": p[name]}, h)

    def normed(name, h):
        mean, var = (stats[name][key].reshape(1, 1, 1, -1) for key in ("mean", "var"))
        scale, bias = (p[name][key].reshape(1, 1, 1, -1) for key in ("scale", "bias"))
        return scale * (h - mean) / jnp.sqrt(var + 1e-5) + bias

    h = plain("conv_0", 3, double(nn.relu(normed("norm_0", x))))
    h = plain("conv_1", 3, nn.relu(normed("norm_1", h)))
    expected = h + plain("shortcut", 1, double(x))
    out = block.apply({"params": p, "batch_stats": stats}, x)
    np.testing.assert_allclose(out, expected, atol=1e-4)


def test_blocks_that_keep_side_and_channels_have_no_shortcut_weights():
    x = jnp.zeros((1, 4, 4, 5))
    for block in (DownBlock(5), UpBlock(5, up=False)):
        assert "shortcut" not in jax.eval_shape(block.init, jax.random.key(0), x)["params"]


def test_double_and_halve():
    """Bilinear between pixel centres: a ramp stays one inside; halving undoes a constant."""
    ramp = jnp.broadcast_to(jnp.arange(4.0).reshape(1, 1, 4, 1), (1, 4, 4, 1))
    expected = np.array([0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(double(ramp)[0, 3, :, 0], expected, atol=1e-6)
    np.testing.assert_allclose(halve(ramp)[0, 0, :, 0], [0.5, 2.5])


def test_training_moves_the_statistics():
    x = 3.0 + jax.random.normal(jax.random.key(1), (8, 4))
    generator = ResNetGenerator(6, (5,), 4, 1, train=True)
    variables = variables_of(generator, x)
    _, moved = jax.jit(functools.partial(generator.apply, mutable="batch_stats"))(variables, x)
    means = moved["batch_stats"]["block_0"]["norm_0"]["mean"]
    assert abs(means).max() > 0 and not variables["batch_stats"]["block_0"]["norm_0"]["mean"].any()


def test_sphere():
    z = jax.random.normal(jax.random.key(0), (3, 4, 4, 1))
    found = on_sphere(z)
    np.testing.assert_allclose(np.linalg.norm(found.reshape(3, -1), axis=1), 4.0, rtol=1e-6)
    ratio = np.asarray(found / z)
    np.testing.assert_allclose(ratio, ratio[:, :1, :1] * np.ones_like(ratio), rtol=1e-4)
