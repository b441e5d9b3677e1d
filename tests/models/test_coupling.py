"""Nets that couple attributes with latents: which layers they see, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits_control
from ebm_jax.errors import ConfigError
from ebm_jax.models import coupling

SHAPES = ((4, 4, 2), (5,))


def config(layers):
    c = digits_control.get_config()
    c.coupling.hidden, c.coupling.layers = (8,), layers
    return c


@pytest.mark.parametrize("timed", [False, True])
def test_an_attribute_depends_on_its_layers_alone(timed):
    nets = coupling.build(config(((2,), ())), SHAPES, timed=timed)
    params = nets.init(jax.random.key(0))
    rng = np.random.default_rng(0)
    z = tuple(jnp.asarray(rng.normal(size=(3, *shape)), jnp.float32) for shape in SHAPES)
    level = (jnp.zeros(3, jnp.int32),) if timed else ()
    before = nets.logits(params, z, *level)
    assert [each.shape for each in before] == [(3, 10), (3, 3)]
    after = nets.logits(params, (z[0] + 1, z[1]), *level)
    np.testing.assert_array_equal(before[0], after[0])
    assert np.abs(before[1] - after[1]).min() > 0
    after = nets.logits(params, (z[0], z[1] + 1), *level)
    assert np.abs(before[0] - after[0]).min() > 0


def test_levels_have_logits_of_their_own():
    nets = coupling.build(config(()), SHAPES, timed=True)
    params = nets.init(jax.random.key(0))
    z = tuple(jnp.ones((1, *shape)) for shape in SHAPES)
    first, second = (nets.logits(params, z, jnp.full(1, t)) for t in (0, 2))
    assert np.abs(first[0] - second[0]).max() > 1e-3


@pytest.mark.parametrize(
    "layers, message",
    [
        (((1,),), "coupling.layers has 1 entries for the attributes class, thickness; give"),
        (((1,), (3,)), "gives thickness the layers .3,.; use each of 1 .bottom. to 2"),
        (((0,), (1,)), "gives class the layers .0,.; use each of 1"),
        (((1, 1), (1,)), "gives class the layers .1, 1.; use each of 1"),
    ],
)
def test_layers_that_are_not_there(layers, message):
    with pytest.raises(ConfigError, match=message):
        coupling.build(config(layers), SHAPES)


def test_without_attributes_there_is_none():
    c = config(())
    c.data.attributes = ()
    assert coupling.build(c, SHAPES) is None
