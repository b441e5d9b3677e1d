"""The deep hierarchical VAE's learning: its loss by hand, its statistics, and energies on it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits_nvae, stages
from ebm_jax import data, methods, randomness
from ebm_jax.compilation import jit_once
from ebm_jax.densities import likelihoods
from ebm_jax.errors import ConfigError
from ebm_jax.methods.nvae import balancing
from ebm_jax.models import deep
from ebm_jax.nn.spectral import spectral_norms
from ebm_jax.samplers import normal_like

BATCH = 8


def small(**settings):
    """Two groups of two scales, of few channels."""
    c = digits_nvae.get_config()
    c.data.batch_size = BATCH
    c.model.latent_sizes = (1, 1)
    c.model.generator.update(scales=(1, 1), hidden=(8,))
    c.model.inference.hidden = (8,)
    for group in ("generator", "inference"):
        c.optim[group].update(algorithm="sgd", learning_rate=1.0, rising_steps=0)
        c.optim[group].cosine_decay_steps = 0
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


def second(stage, **settings):
    c = small(**settings)
    stage(c)
    c.train.first_stage = "runs/first"
    c.model.energy.update(hidden=(8,), channels=4, zero_init=False)
    c.sampler.prior.num_steps = 3
    return c


@pytest.fixture(scope="module")
def batch():
    c = small()
    return data.make_batch(data.open_dataset(c.data, "train"), c.data, 0, 0)


@pytest.fixture(scope="module")
def start(batch):
    return jit_once(methods.build(small()).init)(jax.random.key(0), batch)


@pytest.fixture(scope="module")
def first(start, batch, update):
    """A first stage whose statistics have moved."""
    moved, _ = update(start, batch, jax.random.key(3))
    return methods.inference_state(moved._replace(ema=start.params))


def changed(a, b):
    """Of each leaf, whether it differs."""
    return [bool(jnp.any(x != y)) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)]


def test_weights_favour_groups_that_say_little():
    """Two scales of 2 and 1 groups: sizes 4 / 2 and 1 / 1, so (KL + .01) × (½, ½, 1), of mean 1."""
    kl = jnp.array([3.99, 1.99, 0.0])
    weights = np.array([4.0 / 2, 2.0 / 2, 0.01])
    np.testing.assert_allclose(balancing((2, 1))(kl), weights / weights.mean(), rtol=1e-5)
    gradient = jax.grad(lambda kl: balancing((2, 1))(kl)[0])(kl)
    np.testing.assert_array_equal(gradient, np.zeros(3))


@pytest.fixture(scope="module")
def update():
    """One step, compiled once."""
    return jit_once(methods.build(small(nvae__spectral_weight=0.03)).update)


@pytest.fixture(scope="module")
def by_hand():
    """(parameters, statistics, batch, key, β, weights) → ((−log p(x|z) + β Σ w_i KL_i, KL_i),
    gradients), compiled once."""
    c = small()
    model = deep.build(c, 1, with_inference=True)
    likelihood = likelihoods.gaussian(c.model.likelihood.sigma)

    def loss(params, statistics, batch, key, coefficient, weights):
        keys = randomness.streams(randomness.per_example(key, batch["index"]), "inference")
        noise = normal_like(keys, tuple(jnp.zeros((BATCH, *s)) for s in model.latent_shapes))
        x = batch["image"]
        raw, kl, _ = model.learn({**params, "statistics": statistics}, x, noise)
        kl = kl.mean(1)
        return coefficient * jnp.sum(kl * weights) - likelihood.log_prob(raw, x).mean(), kl

    return jit_once(jax.value_and_grad(loss, has_aux=True))


@pytest.mark.parametrize("step, coefficient", [(0, 0.0), (300, 0.25), (1200, 1.0), (4000, 1.0)])
def test_a_step_is_that_of_the_weighted_elbo(start, batch, update, by_hand, step, coefficient):
    """−log p(x|z) + β Σ w_i KL_i + λ Σ σ(W); the weights are 1 when the warm-up is over."""
    c = small()
    assert c.nvae.kl_warmup * c.train.num_steps == 1200
    key = jax.random.key(5)
    state = start._replace(step=jnp.int32(step))
    moved, metrics = update(state, batch, key)
    settings = state.params, state.extra["statistics"], batch, key, coefficient
    (_, kl), _ = by_hand(*settings, jnp.ones(2))
    weights = balancing((1, 1))(kl) if coefficient < 1 else jnp.ones(2)
    (value, _), grads = by_hand(*settings, weights)
    spectral = float(metrics["loss/spectral"])
    assert float(metrics["loss/total"]) == pytest.approx(float(value) + 0.03 * spectral, rel=1e-4)

    vectors = state.extra["training"]["spectral"]

    def total(params):
        return sum(jax.tree.leaves(spectral_norms(params, vectors)[0]))

    grads = jax.tree.map(lambda g, s: g + 0.03 * s, grads, jit_once(jax.grad(total))(state.params))
    for p, q, g in zip(*map(jax.tree.leaves, (state.params, moved.params, grads)), strict=True):
        scale = float(jnp.abs(g).max()) + 1e-3
        np.testing.assert_allclose(p - q, g, atol=5e-3 * scale)


def test_after_a_roll_back_steps_are_smaller(start, batch, update):
    moved, _ = update(start, batch, jax.random.key(5))
    again, _ = update(start._replace(rollbacks=jnp.int32(2)), batch, jax.random.key(5))
    trees = start.params, moved.params, again.params
    for p, q, r in zip(*map(jax.tree.leaves, trees), strict=True):
        np.testing.assert_allclose(r - p, (q - p) / 4, rtol=1e-3, atol=1e-5)


def test_the_spectral_term_is_of_all_convolutions(start, batch, update):
    """σ(W) of the 4-d kernels, after as many power iterations as steps: their sum from above."""
    state = start
    for k in range(40):
        state, metrics = update(state, batch, jax.random.key(k))
        state = state._replace(params=start.params)
    kernels = [leaf for leaf in jax.tree.leaves(start.params) if leaf.ndim == 4]
    matrices = [np.asarray(k).reshape(-1, k.shape[-1]) for k in kernels]
    expected = sum(np.linalg.svd(m, compute_uv=False)[0] for m in matrices)
    assert float(metrics["loss/spectral"]) == pytest.approx(expected, rel=0.02)


def test_statistics_are_state_that_is_exported_and_vectors_are_not(start, first):
    assert set(first.extra) == {"statistics"}
    assert set(first.params) == {"generator", "inference"}
    assert all(changed(start.extra["statistics"], first.extra["statistics"]))


@pytest.mark.parametrize("stage", [stages.joint, stages.diffusion])
def test_energies_learn_on_it_and_nothing_else_moves(stage, batch, first):
    method = methods.build(second(stage))
    state = jit_once(method.init)(jax.random.key(1), batch, first)
    moved, metrics = jit_once(method.update)(state, batch, jax.random.key(2))
    for group in ("generator", "inference"):
        assert not any(changed(moved.params[group], first.params[group]))
    assert not any(changed(moved.extra["statistics"], first.extra["statistics"]))
    assert any(changed(moved.params["energy"], state.params["energy"]))
    assert float(metrics["prior/finite"]) == 1.0
    averaged = methods.inference_state(moved)
    got = jit_once(lambda s: method.sample(s, jax.random.key(3), 2))(averaged)
    assert got.images.shape == (2, 8, 8, 1) and bool(jnp.isfinite(got.images).all())
    assert [leaf.shape for leaf in got.latents] == [(2, 4, 4, 1), (2, 2, 2, 1)]


def test_samples_statistics_are_found_from_any_others(first):
    """After enough batches it no longer matters where the tower's statistics started, and what a
    large batch of samples has is near; those of training, from one step, are far from it."""
    method = methods.build(small())
    recalibrate = jit_once(method.recalibrate, static_argnums=2)
    other = jax.tree.map(lambda s: 3 * s + 1, first.extra["statistics"])
    found = recalibrate(first, jax.random.key(1), 150)
    again = recalibrate(first._replace(extra={"statistics": other}), jax.random.key(1), 150)
    assert found.params is not None and set(found.extra) == {"statistics"}
    tower, tower_again = (f.extra["statistics"]["tower"] for f in (found, again))
    for a, b in zip(*map(jax.tree.leaves, (tower, tower_again)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    # Each pass draws others: one more still moves them.
    more = recalibrate(first, jax.random.key(1), 151).extra["statistics"]["tower"]
    moves = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), tower, more)
    assert max(jax.tree.leaves(moves)) > 1e-3
    many = tuple(
        jax.random.normal(jax.random.key(9), (2000, *s))
        for s in deep.build(small(), 1, with_inference=True).latent_shapes
    )
    model = deep.build(small(), 1, with_inference=True)
    nets = {**first.params, "statistics": first.extra["statistics"]}
    trained = first.extra["statistics"]["tower"]
    moved = jit_once(model.recalibrate)(nets, many)["tower"]
    own = jax.tree.map(lambda m, s: (m - 0.9 * s) / 0.1, moved, trained)

    def off(statistics):
        return sum(
            float(jnp.sum((a - b) ** 2))
            for a, b in zip(*map(jax.tree.leaves, (statistics, own)), strict=True)
        )

    assert off(tower) < 0.05 * off(trained)


def test_its_statistics_are_part_of_a_first_stage(batch, first):
    c = second(stages.joint)
    without = first._replace(extra={})
    with pytest.raises(ConfigError, match="has other nets than this config in statistics; use"):
        jax.eval_shape(lambda: methods.build(c).init(jax.random.key(0), batch, without))


@pytest.mark.parametrize(
    "setting, value, message",
    [
        ("model.generator.kind", "mlp", "generator.kind is 'mlp'; method 'nvae' has 'nvae'"),
        (
            "model.energy.enabled",
            True,
            "energy.enabled is True, but method 'nvae' learns the backbone",
        ),
        ("nvae.spectral_weight", -1.0, "nvae.spectral_weight is -1.0; it must not be negative"),
        ("nvae.kl_warmup", 1.5, "nvae.kl_warmup is 1.5; it is a fraction of training, 0 to 1"),
        ("train.ema_decay", 0.9, "train.ema_decay is 0.9, but the statistics of batch norm"),
        ("train.accumulate", 2, "train.accumulate is 2, but batch normalisation and the balance"),
        ("method.learning", "mcmc", "method.learning is 'mcmc'; method 'nvae' has 'variational'"),
        ("method.name", "joint", "generator.kind is 'nvae', whose nets method 'nvae' learns; set"),
    ],
)
def test_settings_that_do_not_fit(setting, value, message):
    with pytest.raises(ConfigError, match=message):
        methods.build(small(**{setting.replace(".", "__"): value}))
