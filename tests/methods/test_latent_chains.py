"""Chains of a latent variable model: settings that are refused, and computation in bfloat16."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax import methods, randomness
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.densities.joint import JointDensity
from ebm_jax.errors import ConfigError
from ebm_jax.methods import latent_chains
from ebm_jax.models import latent_variable
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
    model = latent_variable.build(config, 1, with_inference=False)
    params = model.init(jax.random.key(0))
    density = JointDensity(
        log_likelihood=None,
        prior=lambda p: hierarchical_prior(lambda i, above: model.conditional(p, i, above), 2),
        neg_energy=model.neg_energy,
    )
    chains = latent_chains.build(config, density, model)
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
