"""The ladder model: the paper's sizes, one energy on all layers, layers independent given x."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base
from ebm_jax.errors import ConfigError
from ebm_jax.models import energies, ladder


def small_config(kind="mlp", combine="concat"):
    c = base.get_config()
    c.model.latent_sizes = (2, 3, 4)
    c.model.generator.update(kind=kind, combine=combine, width=16, last=4)
    c.model.inference.update(kind=kind, width=16)
    c.model.generator.hidden = (8, 6, 5) if kind == "mlp" else (4, 6)
    c.model.inference.hidden = (8, 6, 5)
    return c


def built(config):
    model = ladder.build(config, config.data.channels, with_inference=True)
    return model, model.init(jax.random.key(0))


def latents(count=5, seed=0):
    keys = jax.random.split(jax.random.key(seed), 3)
    return tuple(jax.random.normal(k, (count, d)) for k, d in zip(keys, (2, 3, 4), strict=True))


def counts(config):
    model = ladder.build(config, 3, with_inference=True)
    key = jax.random.key(0)
    params = jax.eval_shape(model.init, key)
    nets = energies.one_for_all(config, model.latent_shapes)
    params["energy"] = jax.eval_shape(nets.init, key)
    return {
        group: sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))
        for group, tree in params.items()
    }


@pytest.mark.parametrize(
    "variant, generator, energy, inference",
    [("five", 55.3e6, 15_301, 19.0e6), ("four", 0.39e6, 8_551, 0.75e6)],
)
def test_parameters_of_the_papers_svhn_nets(variant, generator, energy, inference):
    c = base.get_config()
    c.data.image_size, c.data.channels = 32, 3
    if variant == "five":
        c.model.latent_sizes = (10,) * 5
        c.model.generator.update(kind="conv", combine="concat", width=2048, last=128)
        c.model.generator.hidden = (256, 256, 512, 1024)
        c.model.inference.update(kind="conv", width=2048)
        c.model.inference.hidden = (128, 256, 256, 512, 1024)
        c.model.energy.hidden = (100, 100)
    else:
        c.model.latent_sizes = (2, 2, 2, 10)
        c.model.generator.update(kind="conv", combine="add", width=256)
        c.model.generator.hidden = (32, 64, 64)
        c.model.inference.update(kind="conv", width=256)
        c.model.inference.hidden = (32, 64, 64, 256)
        c.model.energy.hidden = (50,) * 4
    found = counts(c)
    assert found.pop("energy") == energy
    assert set(found) == {"generator", "inference"}
    tolerance = 0.002 if variant == "five" else 0.05
    assert found["generator"] == pytest.approx(generator, rel=tolerance)
    assert found["inference"] == pytest.approx(inference, rel=tolerance)


@pytest.mark.parametrize("kind, combine", [("mlp", "concat"), ("conv", "concat"), ("conv", "add")])
def test_every_layer_reaches_the_image(kind, combine):
    model, params = built(small_config(kind, combine))
    z, other = latents(), latents(seed=1)
    image = model.decode(params, z)
    assert image.shape == (5, 8, 8, 1) and image.dtype == jnp.float32
    for i in range(3):
        changed = model.decode(params, (*z[:i], other[i], *z[i + 1 :]))
        assert float(jnp.abs(changed - image).max()) > 1e-4, i


def test_the_prior_is_isotropic():
    model, params = built(small_config())
    prior = model.prior(params)
    z = latents()
    flat = jnp.concatenate(z, axis=-1)
    expected = -0.5 * (flat**2).sum(-1) - 0.5 * flat.shape[-1] * np.log(2 * np.pi)
    np.testing.assert_allclose(prior.log_prob(z), expected, rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, prior.to_z(z)[0], z)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_inference_is_a_gaussian_with_layers_independent_given_the_image(kind):
    model, params = built(small_config(kind))
    x = jax.random.uniform(jax.random.key(3), (5, 8, 8, 1), minval=-1.0)
    noise = latents(seed=2)
    zero = jax.tree.map(jnp.zeros_like, noise)
    mean, _ = model.infer(params, x, zero)
    z, log_q = model.infer(params, x, noise)
    std = [(a - b) / n for a, b, n in zip(z, mean, noise, strict=True)]
    expected = sum(
        (-0.5 * n**2 - jnp.log(s) - 0.5 * jnp.log(2 * jnp.pi)).sum(-1)
        for n, s in zip(noise, std, strict=True)
    )
    np.testing.assert_allclose(log_q, expected, rtol=1e-4, atol=1e-4)
    only_bottom, _ = model.infer(params, x, (noise[0], *zero[1:]))
    np.testing.assert_array_equal(only_bottom[1], mean[1])
    np.testing.assert_array_equal(only_bottom[2], mean[2])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.generator.kind": "cnn"}, "model.generator.kind is 'cnn'; use 'mlp' or 'conv'"),
        ({"model.generator.hidden": (8, 6)}, "generator.hidden has 2 widths, but a ladder needs"),
        ({"model.inference.hidden": (8, 6)}, "inference.hidden has 2 widths, .* latent layer, 3"),
        (
            {"model.generator.kind": "conv", "model.generator.hidden": (4, 6, 8)},
            "has 3 widths, but a ladder needs one per layer but the top one, 2",
        ),
        (
            {
                "model.generator.kind": "conv",
                "model.generator.hidden": (4, 6),
                "model.generator.combine": "multiply",
            },
            "model.generator.combine is 'multiply'; use 'concat' or 'add'",
        ),
        (
            {
                "model.generator.kind": "conv",
                "model.generator.hidden": (4, 6),
                "data.image_size": 10,
            },
            "data.image_size is 10, which 3 ladder layers cannot halve 2 times",
        ),
    ],
)
def test_senseless_ladders(changes, message):
    config = small_config()
    config.update_from_flattened_dict(changes)
    with pytest.raises(ConfigError, match=message):
        ladder.build(config, 1, with_inference=True)
