"""Hat EBM's learning: the order of a step, the bank, the temperature, what stays frozen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hats
from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.methods import hat, inference_state
from ebm_jax.models import hat as models
from ebm_jax.samplers.noise import fold_in, normal_like
from ebm_jax.training_step import LoopState, build_step, empty_metrics

B, BANK = 4, 10


def config(**settings):
    c = hats.synthesis(6, 1)
    c.data.batch_size = B
    c.data.num_examples = 100
    c.hat.bank_size = BANK
    c.model.latent_sizes = (3,)
    c.model.generator.hidden = (4, 4)
    c.model.energy.hidden = (4, 4)
    c.model.energy.halvings = 1
    c.sampler.prior.num_steps = 3
    c.sampler.prior.step_size = 0.05
    c.hat.temperature = 0.1
    for group in ("energy", "generator"):
        c.optim[group].algorithm = "sgd"
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


@pytest.fixture(scope="module")
def batch():
    image = np.random.default_rng(0).uniform(-1, 1, (B, 6, 6, 1)).astype(np.float32)
    return {"image": jnp.asarray(image), "index": jnp.arange(B), "label": jnp.zeros(B, jnp.int32)}


def start(c, batch):
    method = hat.build(c)
    return method, jax.jit(method.init)(jax.random.key(0), batch)


def changed(a, b):
    return jax.tree.map(lambda x, y: bool(jnp.any(x != y)), a, b)


def bank_of(state):
    return state.extra["training"]["bank"]


KEY = jax.random.key(7)


@pytest.fixture(scope="module")
def stepped(batch):
    c = config()
    method, state = start(c, batch)
    after, metrics = jax.jit(method.update)(state, batch, KEY)
    return c, method, state, after, metrics


@pytest.fixture(scope="module")
def learned(batch):
    """A step from a bank whose images the generator does not make yet, with visible rates."""
    c = config(
        hat__data_noise=0.3, optim__energy__learning_rate=0.01, optim__generator__learning_rate=1e-3
    )
    method, state = start(c, batch)
    noise = jax.random.normal(jax.random.key(9), bank_of(state).x.shape)
    bank = bank_of(state)._replace(x=bank_of(state).x + 0.3 * noise)
    state = state._replace(extra={**state.extra, "training": {"bank": bank}})
    after, metrics = jax.jit(method.update)(state, batch, KEY)
    return c, method, state, after, metrics


def test_bank_starts_at_the_generators_images_and_takes_the_chains_ends(stepped, batch):
    _, method, state, after, _ = stepped
    generate = models.build_generator(config()).generate
    bank, statistics = bank_of(state), state.extra["statistics"]
    images = generate(state.params["generator"], statistics, bank.z)
    np.testing.assert_allclose(bank.x, images, atol=1e-5)
    moved = np.flatnonzero(np.any(np.asarray(bank_of(after).z != bank.z), axis=1))
    assert len(moved) == B
    new = jax.tree.map(lambda leaf: leaf[moved], bank_of(after))
    started = generate(state.params["generator"], statistics, new.z)
    distance = np.linalg.norm((new.x - started).reshape(B, -1), axis=1)
    assert (distance > 0.1).all()  # three steps of noise 0.05 in 36 pixels: 0.5
    assert (distance < 1.5).all()  # the pair's own z


def close(found, expected, *, before, atol=2e-5):
    """Equal, and many tolerances away from what was before the step."""
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=atol), found, expected)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), found, before)
    assert max(jax.tree.leaves(moved)) > 100 * atol


def test_generator_learns_from_the_bank_as_it_was(learned):
    """SGD: its step is the gradient at the drawn entries before these are overwritten."""
    c, _, state, after, metrics = learned
    generate = models.build_generator(c).generate
    old, new = bank_of(state), bank_of(after)
    entries = np.flatnonzero(np.any(np.asarray(old.z != new.z), axis=1))

    def loss(params, bank):
        images = generate(params, state.extra["statistics"], bank.z[entries])
        return 1000.0 * jnp.mean((images - bank.x[entries]) ** 2)

    value, gradient = jax.value_and_grad(loss)(state.params["generator"], old)
    np.testing.assert_allclose(metrics["loss/generator"], value, rtol=1e-4)
    rate = c.optim.generator.learning_rate
    expected = jax.tree.map(lambda p, g: p - rate * g, state.params["generator"], gradient)
    close(after.params["generator"], expected, before=state.params["generator"])
    assert abs(float(loss(state.params["generator"], new)) - float(value)) > 0.1


def test_temperature_divides_the_energys_gradient(learned, batch):
    """−lr/T · ∇[mean H(data + noise) − mean H(ends)] with the ends that went into the bank."""
    c, _, state, after, metrics = learned
    energy = models.build_critic(c, "energy", pool="mean").apply
    old, new = bank_of(state), bank_of(after)
    entries = np.flatnonzero(np.any(np.asarray(old.z != new.z), axis=1))
    keys = randomness.streams(randomness.per_example(KEY, batch["index"]), "data")
    data = batch["image"] + c.hat.data_noise * normal_like(keys, batch["image"])

    def loss(params):
        return energy(params, data).mean() - energy(params, new.x[entries]).mean()

    value, gradient = jax.value_and_grad(loss)(state.params["energy"])
    np.testing.assert_allclose(metrics["loss/energy"], value, rtol=1e-3)
    factor = c.optim.energy.learning_rate / c.hat.temperature
    expected = jax.tree.map(lambda p, g: p - factor * g, state.params["energy"], gradient)
    close(after.params["energy"], expected, before=state.params["energy"])


def by_hand(c, state, keys, num_steps, tau):
    """§3.3 of the paper's chain, move by move: {"z", "y"}, and the lengths of y's pulls."""
    generator = models.build_generator(c)
    critic = models.build_critic(c, "energy", pool="mean").apply
    prior = float(c.hat.density == "conditional")
    step_z, step_y = c.hat.z_step_size, c.sampler.prior.step_size

    def potential(z, y):
        x = generator.generate(state.params["generator"], state.extra["statistics"], z) + y
        value = critic(state.params["energy"], x) / c.hat.temperature
        return jnp.sum(value + tau * jnp.sum(y**2, axis=(1, 2, 3)) + prior * jnp.sum(z**2, 1) / 2)

    z = normal_like(randomness.streams(keys, "start"), jnp.zeros((len(keys), 3)))
    y = jnp.zeros((len(keys), 6, 6, 1))
    lengths = []
    for k in range(num_steps):
        first, second = (fold_in(fold_in(keys, k), number) for number in (0, 1))
        z -= step_z**2 / 2 * jax.grad(potential, 0)(z, y)
        z += step_z * normal_like(first, z)
        pull = step_y**2 / 2 * jax.grad(potential, 1)(z, y)
        lengths.append(jnp.sqrt(jnp.sum(pull**2, axis=(1, 2, 3), keepdims=True)))
        y -= pull * jnp.minimum(1.0, c.sampler.prior.clip / lengths[-1])
        y += step_y * normal_like(second, y)
    return {"z": z, "y": y}, np.concatenate(lengths)


@pytest.mark.parametrize("density", ["joint", "conditional"])
def test_chain_moves_z_and_then_y_by_the_papers_steps(density, batch):
    """Temperature on H alone, τ on y and, when sampling, `eval_tau`; the clip binds for some."""
    c = config(
        hat__density=density, hat__z_step_size=0.3, hat__tau=0.7, hat__temperature=0.004,
        sampler__prior__step_size=0.5, sampler__prior__clip=0.9, sampler__prior__num_steps=2,
    )  # fmt: skip
    c.hat.eval_tau = 0.2
    method, state = start(c, batch)
    keys = randomness.per_example(KEY, jnp.arange(B))
    found = method.sample(inference_state(state), KEY, B, num_steps=2).latents
    expected, lengths = by_hand(c, state, keys, 2, tau=0.2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, expected)
    assert lengths.min() < c.sampler.prior.clip < lengths.max()
    training, _ = by_hand(c, state, keys, 2, tau=0.7)
    assert float(jnp.abs(training["y"] - expected["y"]).max()) > 0.01
    if density == "conditional":  # the step's pairs, by the training's τ
        after, _ = jax.jit(method.update)(state, batch, KEY)
        new = np.any(np.asarray(bank_of(after).z != bank_of(state).z), axis=1)
        order = np.argsort(np.asarray(training["z"])[:, 0])
        pairs = jax.tree.map(lambda leaf: np.asarray(leaf)[new], bank_of(after))
        mine = np.argsort(pairs.z[:, 0])
        np.testing.assert_allclose(pairs.z[mine], training["z"][order], atol=1e-4)
        generate = models.build_generator(c).generate
        x = generate(state.params["generator"], state.extra["statistics"], training["z"])
        np.testing.assert_allclose(pairs.x[mine], (x + training["y"])[order], atol=1e-4)


def test_frozen_generator_has_no_bank_and_stays(batch):
    method, state = start(config(hat__density="joint", hat__z_step_size=0.05), batch)
    after, metrics = jax.jit(method.update)(state, batch, KEY)
    assert set(state.extra) == {"statistics"} and set(state.opt_state) == {"energy"}
    assert not any(jax.tree.leaves(changed(state.params["generator"], after.params["generator"])))
    assert any(jax.tree.leaves(changed(state.params["energy"], after.params["energy"])))
    assert "loss/generator" not in metrics


@pytest.mark.parametrize("density", ["joint", "conditional"])
def test_generator_and_its_statistics_are_the_first_stages(density, batch):
    """The bank too starts at its images."""
    c = config(hat__density=density, hat__z_step_size=0.05)
    method = hat.build(c)
    assert method.needs_first_stage == (density == "joint")
    other = jax.jit(method.init)(jax.random.key(5), batch)
    statistics = jax.tree.map(lambda leaf: leaf + 0.5, other.extra["statistics"])
    first = inference_state(other)._replace(extra={"statistics": statistics})
    fresh = jax.jit(method.init)(jax.random.key(0), batch)
    state = jax.jit(method.init)(jax.random.key(0), batch, first)
    jax.tree.map(np.testing.assert_array_equal, state.params["energy"], fresh.params["energy"])
    same = (state.params["generator"], state.ema["generator"], state.extra["statistics"])
    expected = (first.params["generator"], first.params["generator"], statistics)
    jax.tree.map(np.testing.assert_array_equal, same, expected)
    if density == "conditional":
        bank = bank_of(state)
        generate = models.build_generator(c).generate
        images = generate(first.params["generator"], statistics, bank.z)
        np.testing.assert_allclose(bank.x, images, atol=1e-5)


def test_accumulated_parts_are_one_step(learned, batch):
    c, _, state, after, metrics = learned
    with c.unlocked():
        parts = c.copy_and_resolve_references()
    parts.train.accumulate = 2
    again, found = jax.jit(hat.build(parts).update)(state, batch, KEY)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5),
        (after.params, after.extra), (again.params, again.extra),
    )  # fmt: skip
    assert set(found) == set(metrics)


@pytest.mark.parametrize("spoiled", ["data", "chain"])
def test_a_step_that_diverges_leaves_bank_and_nets_as_they_were(stepped, batch, spoiled):
    c, method, state, _, _ = stepped
    bad = batch
    if spoiled == "data":
        bad = {**batch, "image": batch["image"].at[0, 0, 0, 0].set(jnp.nan)}
    else:
        params = jax.tree.map(lambda p: 1e6 * p, state.params["energy"])
        state = state._replace(params={**state.params, "energy": params})
    shapes = jax.eval_shape(method.update, state, batch, KEY)[1]
    before = LoopState(train=state, metrics=empty_metrics(shapes))
    after = jax.jit(build_step(method, c.stability, 0.9))(before, bad, KEY).train
    assert (after.step, after.skipped) == (state.step + 1, 1)
    for kept in ("params", "opt_state", "ema", "extra"):
        jax.tree.map(np.testing.assert_array_equal, getattr(after, kept), getattr(state, kept))
    assert "hat.data_noise" in method.advice


def test_samples_are_the_generators_images_and_what_the_chain_adds(stepped, batch):
    _, method, state, _, _ = stepped
    state = inference_state(state)
    assert set(state.extra) == {"statistics"}  # the bank is the training's
    plain = method.sample(state, KEY, 3, prior="gaussian")
    short = method.sample(state, KEY, 3, num_steps=4, keep_every=2)
    np.testing.assert_array_equal(plain.latents["z"], short.latents["z"])
    np.testing.assert_allclose(
        short.images, plain.images + short.latents["y"], atol=1e-5
    )  # the same z: G(z) → G(z) + y
    assert short.trajectory.shape == (2, 3, 6, 6, 1)
    np.testing.assert_allclose(short.trajectory[-1], short.images, atol=1e-5)
    scores = method.log_score(state, short.images, KEY, jnp.arange(3))
    np.testing.assert_allclose(scores * -0.1, method.energy(state, short.latents), rtol=1e-4)
    with pytest.raises(ConfigError, match="no layers"):
        method.log_score(state, short.images, KEY, jnp.arange(3), k=1)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"hat__density": "both"}, "use one of: conditional, joint"),
        ({"hat__temperature": 0.0}, "temperature is 0.0; it must be positive"),
        ({"hat__tau": -1.0}, "tau is -1.0; it must not be negative"),
        ({"hat__eval_tau": -1.0}, "eval_tau is -1.0; it must not be negative"),
        ({"model__energy__enabled": False}, "model.energy.enabled is False, but Hat EBM"),
        ({"hat__bank_size": 3}, "bank_size is 3, but each of the 4 examples"),
        ({"model__latent_sizes": (3, 2)}, "Hat EBM has one layer of latents"),
        ({"model__generator__hidden": (4,)}, "has 1 widths; give one of the first map"),
        ({"model__generator__kind": "mlp"}, "Hat EBM has 'resnet' and 'sphere'"),
        ({"model__generator__kind": "sphere"}, r"needs \(16,\) latents and one width"),
        ({"model__energy__halvings": 3}, "halvings is 3; use at most one per width"),
        ({"data__range": (0.0, 1.0)}, "Hat EBM's generators need"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(ConfigError, match=message):
        hat.build(config(**settings))
