"""Energies of maps: the papers' layers, and where the level of a diffusion enters."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from ebm_jax.errors import ConfigError
from ebm_jax.models import energies
from ebm_jax.nn.conv import Conv
from ebm_jax.nn.map_energies import MapEnergy, TimedMapEnergy
from ebm_jax.nn.timed import embed_time


def kernels(net, *inputs):
    """{layer: shape of its kernel} in the order of the layers' names."""
    params = jax.eval_shape(net.init, jax.random.key(0), *inputs)["params"]
    leaves = jax.tree_util.tree_leaves_with_path(params)
    named = {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}
    return {name: leaf.shape for name, leaf in named.items() if name.endswith("kernel")}


@pytest.mark.parametrize("side, depth", [(4, 1), (8, 1), (16, 2), (32, 3), (64, 4), (128, 5)])
def test_depth_follows_the_side(side, depth):
    """CVPR 2023: n convolutions k4 s2 p1 of 64 channels, then n linear layers of 200, then one."""
    found = kernels(MapEnergy(64, 200), jnp.zeros((1, side, side, 20)))
    convolutions = [shape for shape in found.values() if len(shape) == 4]
    linear = [shape for shape in found.values() if len(shape) == 2]
    assert convolutions == [(4, 4, 20, 64), *[(4, 4, 64, 64)] * (depth - 1)]
    flat = (side // 2**depth) ** 2 * 64
    assert linear == [(flat, 200), *[(200, 200)] * (depth - 1), (200, 1)]


def test_small_map_by_hand():
    net = MapEnergy(3, 5)
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 2))
    params = net.init(jax.random.key(0), x)["params"]
    padded, kernel = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), params["Conv_0"]["kernel"]
    h = np.zeros((2, 2, 2, 3))
    for i in range(2):
        for j in range(2):
            window = padded[:, 2 * i : 2 * i + 4, 2 * j : 2 * j + 4]
            h[:, i, j] = np.einsum("bijc,ijcd->bd", window, kernel)
    h = np.where(h > 0, h, 0.2 * h).reshape(2, -1)
    mlp = params["MLP_0"]
    h = h @ mlp["Dense_0"]["kernel"]
    h = np.where(h > 0, h, 0.2 * h) @ mlp["Dense_1"]["kernel"]
    np.testing.assert_allclose(net.apply({"params": params}, x), h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("side", [2, 4, 16])
def test_timed_energy_halves_down_to_two_pixels(side):
    net = TimedMapEnergy(6, 10)
    x, t = jnp.zeros((1, side, side, 3)), jnp.zeros(1, jnp.int32)
    found = kernels(net, x, t)
    halvings = int(math.log2(side)) - 1
    assert sum(name.startswith("down") and name.endswith("_0/kernel") for name in found) == halvings
    assert found["flat/kernel"] == (2 * 2 * 6, 10)
    params = jax.eval_shape(net.init, jax.random.key(0), x, t)["params"]
    assert not [leaf for leaf in jax.tree.leaves(params) if len(leaf.shape) < 2]  # no biases


def test_every_place_where_the_level_enters_matters():
    net = TimedMapEnergy(4, 6)
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 2))
    t = jnp.array([0, 2])
    params = net.init(jax.random.key(0), x, t)
    value = net.apply(params, x, t)
    assert float(jnp.abs(net.apply(params, x, t + 1) - value).min()) > 1e-5
    entries = [name for name in params["params"] if name.endswith("_level")]
    assert sorted(entries) == ["block_0_level", "block_1_level", "down_0_level", "input_level"]
    for name in entries:
        without = {**params["params"], name: jax.tree.map(jnp.zeros_like, params["params"][name])}
        moved = net.apply({"params": without}, x, t)
        assert float(jnp.abs(moved - value).min()) > 1e-6, name


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def silu(x):
    return x / (1 + np.exp(-x))


def test_levels_shift_a_plain_energys_layers():
    """Against the layers by hand; the convolution itself is tested above."""
    net = MapEnergy(3, 5)
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 2))
    t = jnp.array([0, 2])
    params = net.init(jax.random.key(0), x, t)["params"]
    level = silu(embed_time(t) @ params["level_0"]["kernel"])
    level = silu(level @ params["level_1"]["kernel"])
    settings = dict(features=3, kernel_size=(4, 4), strides=(2, 2), padding=((1, 1), (1, 1)))
    h = Conv(**settings).apply({"params": params["Conv_0"]}, x)
    h = leaky(h + (level @ params["conv_0_level"]["kernel"])[:, None, None]).reshape(2, -1)
    mlp = params["MLP_0"]
    h = leaky(h @ mlp["Dense_0"]["kernel"] + level @ params["dense_0_level"]["kernel"])
    expected = h @ mlp["Dense_1"]["kernel"]
    np.testing.assert_allclose(net.apply({"params": params}, x, t), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "build, kind",
    [
        (energies.one_per_layer, ""),
        (energies.one_per_layer_and_level, "residual"),
        (energies.one_per_layer_and_level, "plain"),
    ],
)
def test_layers_may_be_maps_of_different_sides(build, kind):
    c = base.get_config()
    c.model.energy.update(hidden=(12,), channels=4, zero_init=False, kind=kind)
    shapes = ((8, 8, 2), (4, 4, 2))
    nets = build(c, shapes)
    params = nets.init(jax.random.key(0))
    z = tuple(jax.random.normal(jax.random.key(i), (3, *shape)) for i, shape in enumerate(shapes))
    t = (jnp.array([0, 1, 2]),) * (build is energies.one_per_layer_and_level)
    terms = nets.terms(params, z, *t)
    assert [term.shape for term in terms] == [(3,), (3,)]
    for i in range(2):  # each of its own layer alone
        moved = nets.terms(params, tuple(z[j] + (i == j) for j in range(2)), *t)
        assert [bool(jnp.any(a != b)) for a, b in zip(terms, moved, strict=True)] == [
            i == 0,
            i == 1,
        ]
    if kind:
        other = nets.terms(params, z, t[0] + 1)
        assert all(bool(jnp.all(a != b)) for a, b in zip(terms, other, strict=True))
        c.model.energy.kind = "deep"
        with pytest.raises(ConfigError, match="energy.kind is 'deep'; use one of: residual, plain"):
            build(c, shapes)
        c.model.energy.kind = kind
    c.model.energy.hidden = (12, 12)
    with pytest.raises(ConfigError, match=r"hidden is \(12, 12\) for a layer of maps; give one"):
        build(c, shapes)
