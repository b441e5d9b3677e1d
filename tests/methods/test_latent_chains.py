"""Chains of a latent variable model: settings that are refused, and computation in bfloat16."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax import methods, randomness
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.densities.joint import JointDensity
from ebm_jax.errors import ConfigError
from ebm_jax.methods import latent_chains, latent_model
from ebm_jax.models import energies, latent_variable
from tests.test_train import tiny_config


@pytest.mark.parametrize(
    "setting, value, message",
    [
        ("sampler.prior.step_size", 2.0, "prior.step_size is 2.0, but Langevin steps diverge"),
        ("sampler.prior.step_size", float("nan"), "prior.step_size is nan; it must be positive"),
        ("sampler.posterior.num_steps", 0, "posterior.num_steps is 0; it must be positive"),
        ("sampler.prior.space", "v", "prior.space is 'v'; use 'u' or 'z'"),
        ("sampler.prior.kernel", "hmc", "prior.kernel is 'hmc'; use 'langevin' or 'mala'"),
        ("sampler.posterior.init", "x", "posterior.init is 'x'; use one of: normal"),
        ("sampler.prior.clip", -1.0, "prior.clip is -1.0"),
        ("eval.redraw", "mean", "eval.redraw is 'mean'; use 'sample' or 'mode'"),
    ],
)
def test_senseless_samplers(setting, value, message):
    config = tiny_config()
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(ConfigError, match=message):
        methods.build(config)


def prior_chain(steps, **dtypes):
    """(start, end) of a prior chain with some parts of the model in another dtype."""
    config = tiny_config()
    config.model.energy.zero_init = False
    for part, dtype in dtypes.items():
        config.model[part].compute_dtype = dtype
    parts = latent_model.build_parts(config, latent_variable.build, energies.one_per_layer)
    key = jax.random.key(0)
    params = {**parts.model.init(key), "energy": parts.energies.init(key)}
    density, chains = parts.density, parts.chains
    keys = randomness.per_example(jax.random.key(1), jnp.arange(64))
    run = jax.jit(lambda k: chains.prior(params, k, steps))
    return density.prior(params).to_z(chains.noise(keys, "start"))[0], run(keys)


def test_chains_in_bfloat16_stay_beside_those_in_float32():
    """The state, the noise and the sums are float32: after 10 steps the difference is that of the
    gradient's rounding, 2⁻⁸ of the drift per step and layer, and not that of a rounded position."""
    steps = 10
    _, exact = prior_chain(steps)
    _, mixed = prior_chain(steps, energy="bfloat16")
    assert all(leaf.dtype == jnp.float32 for leaf in mixed.position)
    step_size = tiny_config().sampler.prior.step_size
    drift = steps * step_size**2 / 2 * float(jnp.max(exact.info.grad_norm))
    for a, b in zip(exact.position, mixed.position, strict=True):
        difference = float(jnp.max(jnp.abs(a - b)))
        assert 0 < difference < 4 * 2.0**-8 * drift
    # A position kept in bfloat16 would be off by half a unit in the last place of values up to 4.
    assert difference < 2.0**-8 * 4


def test_each_part_has_its_own_dtype():
    _, exact = prior_chain(3)
    for part in ("prior", "energy"):
        _, changed = prior_chain(3, **{part: "bfloat16"})
        assert not np.array_equal(exact.position[0], changed.position[0]), part
    _, generator = prior_chain(3, generator="bfloat16")  # takes no part in a prior chain
    np.testing.assert_array_equal(exact.position[0], generator.position[0])


def redrawn(k, redraw="sample", steps=0, num=4000):
    """(z, redrawn z) of a linear-Gaussian prior with the energy F(z) = c·z_1 + d·z_2."""
    config = tiny_config()
    config.eval.redraw, config.eval.redraw_steps = redraw, steps
    density = JointDensity(
        log_likelihood=None,
        prior=lambda p: hierarchical_prior(lambda i, above: (p["a"] * above[0], p["s"]), 2),
        neg_energy=lambda p, z: z[0] @ p["c"] + z[1] @ p["d"],
    )
    params = {
        "a": jnp.full((1, 2), 0.5),
        "s": jnp.full((1, 2), 0.2),
        "c": jnp.array([5.0, -5.0]),
        "d": jnp.array([50.0, 50.0]),
    }
    chains = latent_chains.build(config, density, SimpleNamespace(latent_shapes=((2,), (2,))))
    keys = randomness.per_example(jax.random.key(1), jnp.arange(num))
    z = (jnp.full((num, 2), 7.0), jnp.tile(jnp.array([[1.0, -2.0]]), (num, 1)))
    return z, jax.jit(lambda z: chains.redraw(params, keys, z, k))(z)


def test_redraw_keeps_the_upper_layers_and_draws_the_lower_ones():
    z, drawn = redrawn(1)
    np.testing.assert_array_equal(drawn[1], z[1])
    np.testing.assert_allclose(drawn[0].mean(0), [0.5, -1.0], atol=0.015)
    np.testing.assert_allclose(drawn[0].std(0), 0.2, rtol=0.05)
    z, same = redrawn(0, steps=5)
    jax.tree.map(np.testing.assert_array_equal, same, z)


def test_mode_of_the_lower_layers():
    _, drawn = redrawn(1, redraw="mode")
    np.testing.assert_allclose(drawn[0], np.tile([[0.5, -1.0]], (len(drawn[0]), 1)), rtol=1e-6)


def test_refined_layers_follow_the_ebm_prior_with_the_upper_ones_clamped():
    """exp(c·z_1) N(z_1; a z_2, s²) is N(a z_2 + s² c, s²); the unadjusted chain's step of 0.3 has
    the variance s² / (1 − 0.3² / 4)."""
    z, drawn = redrawn(1, steps=200)
    np.testing.assert_allclose(drawn[1], z[1], rtol=1e-6)
    np.testing.assert_allclose(drawn[0].mean(0), [0.5 + 0.2, -1.0 - 0.2], atol=0.015)
    expected = 0.2 / np.sqrt(1 - tiny_config().sampler.prior.step_size ** 2 / 4)
    np.testing.assert_allclose(drawn[0].std(0), expected, rtol=0.05)
