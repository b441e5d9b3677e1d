"""Hat EBM's nets on images whose side is no power of two: the nets see a padded one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hats
from ebm_jax.models import hat
from ebm_jax.models.hat_nets import ResNetEnergy, ResNetGenerator

SIDES = [(28, 32, 2), (6, 8, 1)]  # (side, padded, before)


def config(side):
    c = hats.synthesis(side, 1)
    c.model.latent_sizes = (3,)
    c.model.generator.hidden = (4,) * (side.bit_length() - 1)
    c.model.energy.update(hidden=(4, 4), halvings=1)
    return c


@pytest.mark.parametrize("side, padded, before", SIDES)
def test_an_energy_sees_the_image_within_black_pixels(side, padded, before):
    net = hat.build_critic(config(side), "energy", pool="mean")
    params = net.init(jax.random.key(0))
    image = np.random.default_rng(0).uniform(-1, 1, (2, side, side, 1)).astype(np.float32)
    whole = np.full((2, padded, padded, 1), -1.0, np.float32)
    whole[:, before : before + side, before : before + side] = image
    raw = ResNetEnergy((4, 4), 1, "mean", False, None)
    np.testing.assert_allclose(
        net.apply(params, image), raw.apply({"params": params}, whole), rtol=1e-5
    )
    moved = raw.apply({"params": params}, np.roll(whole, before, axis=1))
    assert float(jnp.abs(moved - net.apply(params, image)).max()) > 1e-5


@pytest.mark.parametrize("side, padded, before", SIDES)
def test_a_generators_images_are_the_middle_of_larger_ones(side, padded, before):
    c = config(side)
    generator = hat.build_generator(c)
    params, statistics = generator.init(jax.random.key(0))
    z = jax.random.normal(jax.random.key(1), (2, 3))
    raw = ResNetGenerator(4, c.model.generator.hidden[1:], padded, 1, out_factor=2.0)
    whole = raw.apply({"params": params, "batch_stats": statistics}, z)
    assert whole.shape == (2, padded, padded, 1)
    cut = np.asarray(whole)[:, before : before + side, before : before + side]
    np.testing.assert_allclose(generator.generate(params, statistics, z), cut, atol=1e-6)
