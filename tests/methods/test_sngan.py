"""SN-GAN's step: hinge loss, the discriminator's steps one after the other, what is normalised."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hats
from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.methods import inference_state, sngan
from ebm_jax.models.hat_nets import ResNetEnergy, ResNetGenerator
from ebm_jax.samplers import normal_like

STEPS, B = 2, 3
KEY = jax.random.key(7)


def config(**settings):
    c = hats.sngan(8, 1)
    c.data.batch_size = STEPS * B
    c.data.num_examples = 100
    c.gan.discriminator_steps = STEPS
    c.model.latent_sizes = (3,)
    c.model.generator.hidden = (4, 5)
    c.model.discriminator.update(hidden=(4, 6), halvings=1)
    for group in ("generator", "discriminator"):
        c.optim[group].algorithm = "sgd"
        c.optim[group].learning_rate = 0.05
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


@pytest.fixture(scope="module")
def batch():
    image = np.random.default_rng(0).uniform(-1, 1, (STEPS * B, 8, 8, 1)).astype(np.float32)
    zeros = jnp.zeros(STEPS * B, jnp.int32)
    return {"image": jnp.asarray(image), "index": jnp.arange(STEPS * B) + 10, "label": zeros}


@pytest.fixture(scope="module")
def stepped(batch):
    method = sngan.build(config())
    state = jax.jit(method.init)(jax.random.key(0), batch)
    after, metrics = jax.jit(method.update)(state, batch, KEY)
    return method, state, after, metrics


def latents(index, name):
    keys = randomness.streams(randomness.per_example(KEY, index), name)
    return normal_like(keys, jnp.zeros((len(index), 3)))


def divided(params, vectors):
    """Kernels divided by one power iteration's largest singular value, and the new vectors."""
    leaves, structure = jax.tree.flatten(params)
    kernels, new = [], []
    for leaf, v in zip(leaves, structure.flatten_up_to(vectors), strict=True):
        if v is not None:
            matrix = leaf.reshape(-1, leaf.shape[-1])
            u = jax.lax.stop_gradient(matrix @ v)
            u /= jnp.linalg.norm(u)
            v = jax.lax.stop_gradient(matrix.T @ u)
            v /= jnp.linalg.norm(v)
            u = jax.lax.stop_gradient(matrix @ v)
            leaf = leaf / (u / jnp.linalg.norm(u) @ matrix @ v)
        kernels.append(leaf)
        new.append(v)
    return structure.unflatten(kernels), structure.unflatten(new)


def test_step_is_the_papers(stepped, batch):
    """Two steps of the discriminator, each on its part and from the one before, then one of G."""
    _, state, after, metrics = stepped
    net = ResNetGenerator(4, (5,), 8, 1, train=True)
    critic = ResNetEnergy((4, 6), 1, pool="sum", bias=True)
    vectors = state.extra["training"]["spectral"]
    statistics = state.extra["statistics"]
    discriminator, generator = state.params["discriminator"], state.params["generator"]

    def generated(params, z):
        variables = {"params": params, "batch_stats": statistics}
        return net.apply(variables, z, mutable="batch_stats")

    def hinge(params, real, fake, vectors):
        params, new = divided(params, vectors)
        d_real, d_fake = (critic.apply({"params": params}, x) for x in (real, fake))
        loss = jnp.maximum(0, 1 - d_real).mean() + jnp.maximum(0, 1 + d_fake).mean()
        return loss, new

    losses = []
    for part in range(STEPS):
        here = slice(part, None, STEPS)
        fake, _ = generated(generator, latents(batch["index"][here], "discriminator"))
        (loss, vectors), grads = jax.value_and_grad(hinge, has_aux=True)(
            discriminator, batch["image"][here], fake, vectors
        )
        discriminator = jax.tree.map(lambda p, g: p - 0.05 * g, discriminator, grads)
        losses.append(float(loss))
    assert float(metrics["loss/discriminator"]) == pytest.approx(np.mean(losses), abs=1e-4)

    def adversarial(params):
        fake, moved = generated(params, latents(batch["index"][STEPS - 1 :: STEPS], "generator"))
        normalised, _ = divided(discriminator, vectors)
        return -critic.apply({"params": normalised}, fake).mean(), moved["batch_stats"]

    (loss, moved), grads = jax.value_and_grad(adversarial, has_aux=True)(generator)
    assert float(metrics["loss/generator"]) == pytest.approx(float(loss), abs=1e-4)
    generator = jax.tree.map(lambda p, g: p - 0.05 * g, generator, grads)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
        (after.params, after.extra),
        (
            {"generator": generator, "discriminator": discriminator},
            {"statistics": moved, "training": {"spectral": vectors}},
        ),
    )
    change = jax.tree.map(lambda a, b: abs(a - b).max(), after.params, state.params)
    assert min(max(jax.tree.leaves(change[group])) for group in change) > 1e-3


def test_samples_are_of_the_kept_statistics(stepped):
    method, _, after, _ = stepped
    state = inference_state(after)
    assert set(state.extra) == {"statistics"}
    four = method.sample(state, KEY, 4)
    two = method.sample(state, KEY, 2, start=2)  # image i depends on the key and i alone
    np.testing.assert_allclose(four.images[2:], two.images, atol=1e-5)
    net = ResNetGenerator(4, (5,), 8, 1)
    variables = {"params": state.params["generator"], "batch_stats": state.extra["statistics"]}
    np.testing.assert_allclose(net.apply(variables, four.latents["z"]), four.images, atol=1e-5)
    assert four.images.std() > 0.01


@pytest.mark.parametrize(
    "settings, message",
    [
        (
            {"gan__discriminator_steps": 4},
            "batch_size is 6, but each of gan.discriminator_steps = 4",
        ),
        ({"gan__discriminator_steps": 0}, "discriminator_steps is 0; it must be positive"),
        ({"train__accumulate": 2}, "needs a whole batch at a time; set it to 1"),
        ({"data__range": (0.0, 1.0)}, "Hat EBM's generators need"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        sngan.build(config(**settings))


def test_a_devices_share_must_split_too(batch):
    method = sngan.build(config())
    share = jax.tree.map(lambda leaf: leaf[:3], batch)
    state = jax.eval_shape(method.init, KEY, batch)
    with pytest.raises(
        ConfigError, match="each of 2 devices has 3, no multiple of .* = 2; use a multiple of 4"
    ):
        jax.eval_shape(method.update, state, share, KEY)
