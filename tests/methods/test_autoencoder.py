"""The autoencoder on the sphere: its loss, and that its latents are those of the encoder."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hats
from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.methods import autoencoder, inference_state
from ebm_jax.models.hat_nets import SphereDecoder, SphereEncoder
from ebm_jax.samplers import normal_like

B = 4
KEY = jax.random.key(7)


def config(**settings):
    c = hats.autoencoder(8, 1)
    c.data.batch_size = B
    c.data.num_examples = 100
    c.model.generator.hidden = c.model.inference.hidden = (5,)
    c.autoencoder.latent_noise = 0.5
    for group in ("generator", "inference"):
        c.optim[group].algorithm = "sgd"
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


@pytest.fixture(scope="module")
def batch():
    image = np.random.default_rng(0).uniform(-1, 1, (B, 8, 8, 1)).astype(np.float32)
    return {"image": jnp.asarray(image), "index": jnp.arange(B), "label": jnp.zeros(B, jnp.int32)}


@pytest.fixture(scope="module")
def start(batch):
    method = autoencoder.build(config())
    return method, jax.jit(method.init)(jax.random.key(0), batch)


def decoded(params, statistics, z):
    return SphereDecoder(5, 1).apply({"params": params, "batch_stats": statistics}, z)


@pytest.mark.parametrize("parts", [1, 2])
def test_loss_is_the_weighted_error_of_the_noisy_latents_image(start, batch, parts):
    _, state = start
    after, metrics = jax.jit(autoencoder.build(config(train__accumulate=parts)).update)(
        state, batch, KEY
    )
    keys = randomness.streams(randomness.per_example(KEY, batch["index"]), "latents")
    noise = 0.5 * normal_like(keys, jnp.zeros((B, 4, 4, 1)))

    def loss(params):
        z = SphereEncoder(5).apply({"params": params["inference"]}, batch["image"])
        images = decoded(params["generator"], state.extra["statistics"], z + noise)
        return 1000 * jnp.mean((images - batch["image"]) ** 2)

    value, grads = jax.value_and_grad(loss)(state.params)
    assert float(metrics["loss/total"]) == pytest.approx(float(value), rel=1e-4)
    assert float(metrics["loss/reconstruction_mse"]) == pytest.approx(float(value) / 4000, rel=1e-4)
    expected = jax.tree.map(lambda p, g: p - 1e-4 * g, state.params, grads)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), after.params, expected)
    assert abs(jax.flatten_util.ravel_pytree(grads)[0]).max() > 10  # a step of 1e-3 and more


def test_latents_lie_on_the_sphere_and_images_come_back_through_them(start, batch):
    method, state = start
    state = inference_state(state)
    z = method.posterior(state, batch["image"], KEY, batch["index"])
    assert z.shape == (B, 4, 4, 1)
    np.testing.assert_allclose(np.linalg.norm(z.reshape(B, -1), axis=1), 4.0, rtol=1e-5)
    restored = method.reconstruct(state, batch["image"], KEY, batch["index"])
    images = decoded(state.params["generator"], state.extra["statistics"], z)
    np.testing.assert_allclose(restored, images, atol=1e-5)
    drawn = method.sample(state, KEY, 3).latents["z"]
    assert drawn.shape == (3, 4, 4, 1) and 0.5 < float(drawn.std()) < 1.5


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"model__inference__hidden": (5, 5)}, r"hidden is \(5, 5\); the encoder has one width"),
        ({"autoencoder__latent_noise": -1.0}, "latent_noise is -1.0; it must not be negative"),
        ({"eval__posterior": "langevin"}, "'langevin'; an autoencoder has an 'encoder'"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        autoencoder.build(config(**settings))
