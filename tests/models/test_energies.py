"""Energies of latents: one per layer, one for all, and those that know a diffusion's level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from ebm_jax.errors import ConfigError
from ebm_jax.models import energies
from ebm_jax.nn.timed import embed_time

SHAPES = ((4,), (3,), (2,))
BATCH = 5


def small_config(hidden=(8,), **settings):
    config = base.get_config()
    config.model.energy.update(hidden=hidden, zero_init=False, **settings)
    return config


def built(build=energies.one_per_layer, **settings):
    """(Energies, random parameters of its shapes, biases too)."""
    nets = build(small_config(**settings), SHAPES)
    rng = np.random.default_rng(0)

    def draw(leaf):
        return (rng.normal(size=leaf.shape) / np.sqrt(leaf.shape[0])).astype(leaf.dtype)

    return nets, jax.tree.map(draw, jax.eval_shape(nets.init, jax.random.key(0)))


def latents(seed=1):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=(BATCH, *shape)), jnp.float32) for shape in SHAPES)


def levels(build):
    """What energies that know a level take beside the latents."""
    return (jnp.arange(BATCH),) * (build is energies.one_per_layer_and_level)


def leaky_mlp(params, x):
    """One hidden layer, leaky ReLU 0.2, in numpy."""
    h = np.asarray(x) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    h = np.where(h > 0, h, 0.2 * h)
    return (h @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"])[:, 0]


def silu(x):
    return x / (1 + np.exp(-x))


def test_one_net_for_each_layer():
    nets, params = built()
    z = latents()
    terms = nets.terms(params, z)
    assert len(terms) == 3
    for i, term in enumerate(terms):
        expected = leaky_mlp(params[f"layer_{i + 1}"], z[i])
        np.testing.assert_allclose(term, expected, atol=1e-5)


def test_widths_may_differ_per_layer():
    _, params = built(hidden=((5, 5), (6,), (7,)))
    widths = [params[f"layer_{i}"]["Dense_0"]["bias"].size for i in (1, 2, 3)]
    assert widths == [5, 6, 7]
    assert set(params["layer_1"]) == {"Dense_0", "Dense_1", "Dense_2"}
    with pytest.raises(ConfigError, match="for 2 layers, but model.latent_sizes has 3; give"):
        built(hidden=((5, 5), (6,)))


@pytest.mark.parametrize(
    "build", [energies.one_per_layer, energies.one_per_layer_and_level, energies.one_for_all]
)
def test_zero_initialised_energies_are_exactly_zero(build):
    config = small_config(hidden=(8, 8))
    config.model.energy.zero_init = True
    nets = build(config, SHAPES)
    terms = nets.terms(jax.jit(nets.init)(jax.random.key(0)), latents(), *levels(build))
    for term in terms:
        np.testing.assert_array_equal(term, np.zeros(BATCH))


def test_layers_of_equal_sizes_start_from_different_kernels():
    nets = energies.one_per_layer(small_config(), ((4,),) * 3)
    params = nets.init(jax.random.key(0))
    kernels = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 2]
    assert len({np.asarray(kernel).tobytes() for kernel in kernels}) == len(kernels) == 6


def test_one_for_all_couples_the_layers():
    """One function of the concatenation: no sum of functions of single layers."""
    nets, params = built(energies.one_for_all)
    a, b = latents(), latents(seed=2)
    mixed = [(a[0], *b[1:]), (b[0], *a[1:])]
    f = [nets.terms(params, z)[0] for z in (a, b, *mixed)]
    np.testing.assert_allclose(f[0], leaky_mlp(params, jnp.concatenate(a, -1)), atol=1e-5)
    assert float(jnp.abs(f[0] + f[1] - f[2] - f[3]).max()) > 1e-3  # 0 for a sum over layers


def test_half_precision_nets_hand_out_float32():
    for build in (energies.one_per_layer, energies.one_per_layer_and_level, energies.one_for_all):
        nets, params = built(build, compute_dtype="bfloat16")
        dtypes = {leaf.dtype for leaf in jax.tree.leaves(params)}
        terms = nets.terms(params, latents(), *levels(build))
        assert dtypes | {term.dtype for term in terms} == {jnp.dtype("float32")}


# Levels


def test_a_level_is_sines_and_cosines_of_wavelengths_up_to_ten_thousand():
    found = np.asarray(embed_time(jnp.array([0, 3])))
    assert found.shape == (2, 128)
    np.testing.assert_allclose(found[0], [0.0] * 64 + [1 / 8] * 64)
    frequencies = 1e4 ** -np.linspace(0, 1, 64)
    expected = np.concatenate([np.sin(3 * frequencies), np.cos(3 * frequencies)])
    np.testing.assert_allclose(found[1], expected / 8, atol=1e-6)


def test_timed_energies_are_residual_perceptrons_that_the_level_enters_everywhere():
    nets, params = built(energies.one_per_layer_and_level, hidden=(8, 8, 6))
    z, t = latents(), jnp.array([0, 1, 2, 3, 4])
    for i, term in enumerate(nets.terms(params, z, t)):
        p = {name: leaf["kernel"] for name, leaf in params[f"layer_{i + 1}"].items()}
        level = silu(np.asarray(embed_time(t)) @ p["level_0"])
        level = silu(level @ p["level_1"])
        h = np.asarray(z[i]) @ p["input"] + level @ p["input_level"]
        inner = silu(silu(h) @ p["block_0_0"] + level @ p["block_0_level"])
        h = h + inner @ p["block_0_1"]
        inner = silu(silu(h) @ p["block_1_0"] + level @ p["block_1_level"])
        h = h @ p["block_1_shortcut"] + inner @ p["block_1_1"]
        np.testing.assert_allclose(term, (silu(h) @ p["last"])[:, 0], rtol=1e-4, atol=1e-5)
    biases = [leaf for leaf in jax.tree.leaves(params) if leaf.ndim < 2]
    assert not biases
