"""Every form of every pass is the plain convolution; layers are Flax's; the table decides."""

import re

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.nn import conv as layers
from ebm_jax.nn.convolution import choose, conv, conv_transpose, measured_times
from ebm_jax.nn.convolution_forms import FORMS
from ebm_jax.nn.convolution_geometry import Geometry, kind_of

# (kind, geometry, C_in, C_out): odd sizes, uneven padding and strides as well as the models' own.
GEOMETRIES = [
    ("ordinary", Geometry(False, (6, 5), (3, 3), (1, 1), ((1, 1), (1, 1))), 3, 4),
    ("ordinary", Geometry(False, (6, 6), (4, 2), (1, 1), ((1, 2), (0, 1))), 3, 4),
    ("strided", Geometry(False, (8, 6), (4, 4), (2, 2), ((1, 1), (1, 1))), 3, 4),
    ("strided", Geometry(False, (6, 9), (3, 4), (2, 3), ((0, 1), (2, 1))), 3, 4),
    ("strided_ragged", Geometry(False, (7, 9), (3, 3), (2, 3), ((0, 1), (1, 1))), 3, 4),
    ("pointwise", Geometry(False, (4, 5), (1, 1), (1, 1), ((0, 0), (0, 0))), 3, 4),
    ("depthwise", Geometry(False, (6, 5), (5, 3), (1, 1), ((2, 2), (1, 1)), 4), 4, 4),
    ("grouped", Geometry(False, (6, 5), (3, 3), (1, 1), ((1, 1), (1, 1)), 2), 4, 6),
    ("transposed", Geometry(True, (4, 5), (4, 4), (2, 2), ((2, 2), (2, 2))), 3, 4),
    ("transposed", Geometry(True, (4, 5), (3, 3), (1, 1), ((1, 1), (1, 1))), 3, 4),
    ("transposed", Geometry(True, (3, 4), (5, 3), (2, 3), ((3, 2), (1, 3))), 3, 4),
    ("transposed_ragged", Geometry(True, (3, 3), (2, 2), (4, 4), ((1, 3), (1, 3))), 3, 4),
    ("transposed_ragged", Geometry(True, (3, 4), (3, 3), (2, 2), ((2, 2), (2, 2))), 3, 4),
    ("from_one_pixel", Geometry(True, (1, 1), (7, 5), (1, 1), ((6, 6), (4, 4))), 3, 4),
]
PASSES = ("forward", "input", "kernel")
CASES = [
    pytest.param(*case, which, form, id=f"{case[0]}-{number}-{which}-{form}")
    for number, case in enumerate(GEOMETRIES)
    for which in PASSES
    for form in FORMS[case[0]][which]
]


def operands(g, channels, features):
    """x, kernel and dy of a geometry."""
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (2, *g.input_size, channels))
    kernel = jax.random.normal(keys[1], (*g.kernel_size, channels // g.groups, features))
    return x, kernel, jax.random.normal(keys[2], (2, *g.output_size, features))


def plain(x, kernel, g):
    window, dilation = ((1, 1), g.strides) if g.transposed else (g.strides, (1, 1))
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window,
        g.padding,
        lhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=g.groups,
    )


@pytest.mark.parametrize("kind, g, channels, features, which, form", CASES)
def test_forms_are_the_plain_convolution(kind, g, channels, features, which, form):
    assert kind_of(g, channels, features) == kind
    x, kernel, dy = operands(g, channels, features)
    y, pull_back = jax.vjp(lambda x, kernel: plain(x, kernel, g), x, kernel)
    assert y.shape == dy.shape
    expected = {"forward": y, **dict(zip(("input", "kernel"), pull_back(dy), strict=True))}
    given = {"forward": (x, kernel), "input": (kernel, dy), "kernel": (x, dy)}
    found = FORMS[kind][which][form](*given[which], g)
    np.testing.assert_allclose(found, expected[which], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("taps, stride", [(3, 1), (4, 2), (3, 2), (5, 3), (2, 3), (1, 1)])
def test_convolutions_are_those_of_lax(padding, taps, stride):
    """Values and both gradients, with paddings by name."""
    g = Geometry(False, (8, 7), (taps, taps), (stride, stride), ((0, 0), (0, 0)))
    x, kernel, _ = operands(g, 3, 4)
    strides = (stride, stride)
    numbers = ("NHWC", "HWIO", "NHWC")
    pairs = [
        (
            lambda x, k: conv(x, k, strides=strides, padding=padding),
            lambda x, k: jax.lax.conv_general_dilated(
                x, k, strides, padding, dimension_numbers=numbers
            ),
        ),
        (
            lambda x, k: conv_transpose(x, k, strides=strides, padding=padding),
            lambda x, k: jax.lax.conv_transpose(x, k, strides, padding),
        ),
    ]
    for ours, theirs in pairs:
        expected, expected_pull = jax.vjp(theirs, x, kernel)
        found, pull = jax.vjp(ours, x, kernel)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        dy = jnp.cos(jnp.arange(expected.size, dtype=jnp.float32)).reshape(expected.shape)
        for a, b in zip(pull(dy), expected_pull(dy), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_unknown_padding_is_refused():
    with pytest.raises(ValueError, match="padding is 'FULL'; use 'SAME', 'VALID'"):
        conv_transpose(jnp.zeros((1, 2, 2, 1)), jnp.zeros((3, 3, 1, 1)), padding="FULL")


@pytest.mark.parametrize(
    "ours, theirs",
    [
        (layers.Conv(4, (3, 3)), nn.Conv(4, (3, 3))),
        (
            layers.Conv(6, (5, 5), groups=6, use_bias=False),
            nn.Conv(6, (5, 5), feature_group_count=6, use_bias=False),
        ),
        (layers.ConvTranspose(4, (4, 4), (2, 2)), nn.ConvTranspose(4, (4, 4), (2, 2))),
        (
            layers.ConvTranspose(4, (3, 3), padding="VALID"),
            nn.ConvTranspose(4, (3, 3), padding="VALID"),
        ),
    ],
    ids=["conv", "depthwise", "transposed", "transposed valid"],
)
def test_layers_are_those_of_flax(ours, theirs):
    """The same parameters from the same key, the same outputs."""
    x = jax.random.normal(jax.random.key(1), (2, 6, 6, 6))
    variables = ours.init(jax.random.key(0), x)
    jax.tree.map(np.testing.assert_array_equal, variables, theirs.init(jax.random.key(0), x))
    biased = jax.tree.map(lambda leaf: leaf + 0.1, variables)
    np.testing.assert_allclose(ours.apply(biased, x), theirs.apply(biased, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "side, kernel_size, padding",
    [
        ((8, 6), (3, 3), "SAME"),  # what the models have
        ((7, 8), (3, 3), "SAME"),
        ((8, 10), (5, 2), "SAME"),
        ((10, 8), (3, 3), ((2, 1), (1, 2))),
        ((9, 10), (4, 3), ((0, 2), (1, 0))),
    ],
)
@pytest.mark.parametrize("groups", [1, 2])
def test_a_layer_that_halves_is_a_convolution_and_an_average_pool(
    side, kernel_size, padding, groups
):
    settings = dict(kernel_size=kernel_size, padding=padding, groups=groups)
    whole, halving = (layers.Conv(4, halve=halve, **settings) for halve in (False, True))
    x = jax.random.normal(jax.random.key(0), (2, *side, 4))
    params = whole.init(jax.random.key(1), x)
    params["params"]["bias"] += 0.5
    chex.assert_trees_all_equal_shapes(params, halving.init(jax.random.key(1), x))

    def pooled(params, x):
        return nn.avg_pool(whole.apply(params, x), (2, 2), (2, 2))

    weights = jax.random.normal(jax.random.key(2), pooled(params, x).shape)
    found, expected = (
        jax.value_and_grad(lambda *a, f=f: jnp.sum(weights * f(*a) ** 2), (0, 1))(params, x)
        for f in (halving.apply, pooled)
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-4)


def test_a_layer_that_halves_has_no_strides():
    with pytest.raises(ValueError, match=r"strides are \(2, 2\)"):
        layers.Conv(4, (3, 3), (2, 2), halve=True).init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))


def test_computation_in_bfloat16_keeps_float32_parameters():
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    layer = layers.ConvTranspose(4, (4, 4), (2, 2), dtype=jnp.bfloat16)
    variables = layer.init(jax.random.key(0), x)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
    low, high = layer.apply(variables, x), nn.ConvTranspose(4, (4, 4), (2, 2)).apply(variables, x)
    assert low.dtype == jnp.bfloat16
    np.testing.assert_allclose(low.astype(jnp.float32), high, atol=0.05)
    gradient = jax.grad(lambda v: jnp.sum(layer.apply(v, x).astype(jnp.float32) ** 2))(variables)
    assert gradient["params"]["kernel"].dtype == jnp.float32


def test_a_measured_shape_gets_its_fastest_form():
    """Of every pass with more than one form, and the table covers every kind that has several."""
    covered = set()
    for row in measured_times():
        covered.add((row["kind"], row["pass"]))
        assert set(row["ms"]) == set(FORMS[row["kind"]][row["pass"]])
    assert covered == {
        (kind, which)
        for kind, passes in FORMS.items()
        for which, forms in passes.items()
        if len(forms) > 1 and not kind.endswith("_ragged")  # no model uses one
    }
    for which in ("forward", "kernel"):
        rows = [r for r in measured_times() if (r["kind"], r["pass"]) == ("transposed", which)]
        for row in rows:
            batch, (positions, channels, features, taps) = 4, row["shape"]
            size = round((positions / batch) ** 0.5)
            if batch * size * size != positions or taps != 16:
                continue
            g = Geometry(True, (size, size), (4, 4), (2, 2), ((2, 2), (2, 2)))
            allowed = [name for name in row["ms"] if (which, name) != ("kernel", "lax")]
            best = min(allowed, key=row["ms"].get)
            assert choose(which, g, batch, channels, features) == best


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv(16, (3, 3)),
        layers.Conv(16, (4, 4), (2, 2), padding=((1, 1), (1, 1))),
        layers.Conv(16, (3, 3), halve=True),
        layers.ConvTranspose(16, (4, 4), (2, 2)),
        layers.Conv(16, (3, 3), (4, 4)),
    ],
    ids=["ordinary", "strided", "halving", "transposed", "ragged"],
)
def test_kernel_gradients_within_loops_meet_no_slow_convolution(layer):
    """XLA:CPU puts axes in the order of its fast convolution outside of loops only."""
    x = jax.random.normal(jax.random.key(0), (8, 16, 16, 16))
    params = layer.init(jax.random.key(1), x)

    def train(params, x):
        def step(params, _):
            grads = jax.grad(lambda p: jnp.mean(layer.apply(p, x) ** 2))(params)
            return jax.tree.map(lambda p, g: p - g, params, grads), None

        return jax.lax.scan(step, params, None, length=3)[0]

    compiled = jax.jit(train).lower(params, x).compile().as_text()
    assert set(re.findall(r"dim_labels=(\S+?),", compiled)) == {"b01f_01io->b01f"}
    assert "while" in compiled


def test_only_the_backend_s_form_is_compiled():
    """On a CPU one form of a pass, elsewhere the plain one: lowered for each, not both."""
    x = jnp.zeros((4, 8, 8, 512))
    kernel = jnp.zeros((4, 4, 512, 256))

    def gradient(x, kernel):
        return jax.grad(lambda k: conv_transpose(x, k, strides=(2, 2)).sum())(kernel)

    traced = jax.jit(gradient).trace(x, kernel)
    cpu, cuda = (traced.lower(lowering_platforms=(p,)).as_text() for p in ("cpu", "cuda"))
    g = Geometry(True, (8, 8), (4, 4), (2, 2), ((2, 2), (2, 2)))
    assert choose("kernel", g, 4, 512, 256) != "lax"
    assert (cpu.count("stablehlo.convolution"), cpu.count("stablehlo.dot_general")) == (0, 16)
    assert (cuda.count("stablehlo.convolution"), cuda.count("stablehlo.dot_general")) == (1, 0)
    assert "conditional" not in traced.lower().compile().as_text()
