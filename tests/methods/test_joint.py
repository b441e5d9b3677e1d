"""The joint method: switches, phases, and that every baseline learns."""

import importlib
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import base, digits_joint, digits_ladder
from ebm_jax import data, methods, randomness
from ebm_jax.densities import likelihoods
from ebm_jax.errors import ConfigError
from ebm_jax.methods import latent_model
from ebm_jax.models import energies, latent_variable
from ebm_jax.samplers import normal_like

BATCH = 16


def small(**settings):
    c = digits_joint.get_config()
    c.data.batch_size = BATCH
    c.train.warmup_steps = 2
    c.model.generator.hidden = (16,)
    c.model.inference.hidden = (16,)
    c.model.inference.latent_hidden = (8,)
    c.model.prior.hidden = (8,)
    c.model.energy.hidden = (8,)
    c.sampler.prior.num_steps = 5
    c.sampler.posterior.num_steps = 5
    with c.unlocked():
        for key, value in settings.items():
            c.update_from_flattened_dict({key.replace("__", "."): value})
    return c


@pytest.fixture(scope="module")
def batch():
    dataset = data.open_dataset(digits_joint.get_config().data, "train")
    return data.make_batch(dataset, small().data, 0, 0)


def start(c, batch):
    method = methods.build(c)
    return method, jax.jit(method.init)(jax.random.key(0), batch)


def advance(method, state, batch, steps):
    update = jax.jit(method.update)
    metrics = {}
    for k in range(steps):
        state, metrics = update(state, batch, jax.random.key(k))
        state = state._replace(step=state.step + 1)
    return state, metrics


def changed(a, b):
    return any(bool(jnp.any(x != y)) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def test_energies_stay_zero_until_the_warm_up_is_over(batch):
    method, state = start(small(), batch)
    warm, metrics = advance(method, state, batch, 2)
    assert not changed(state.params["energy"], warm.params["energy"])
    assert changed(state.params["prior"], warm.params["prior"])
    assert float(metrics["energy/negative"]) == 0.0
    learned, _ = advance(method, warm, batch, 1)
    assert changed(warm.params["energy"], learned.params["energy"])


def test_random_energies_are_switched_off_in_the_warm_up(batch):
    """Not zero-initialised, they must not leak into any gradient of the warm-up."""
    norms = []
    for seed_of_energy in (0, 1):
        c = small(model__energy__zero_init=False)
        method, state = start(c, batch)
        energy = jax.tree.map(lambda p, s=seed_of_energy: p + s, state.params["energy"])
        state = state._replace(params={**state.params, "energy": energy})
        _, metrics = jax.jit(method.update)(state, batch, jax.random.key(0))
        norms.append([float(metrics[f"grad_norm/{g}"]) for g in sorted(state.params)])
    assert norms[0] == norms[1]


def reference_elbo(c, params, batch, key):
    """−(log p(x|z) + log p_β(z) + F(z) − log q(z|x)), written out once more."""
    likelihood = likelihoods.gaussian(c.model.likelihood.sigma)
    parts = latent_model.build_parts(c, latent_variable.build, energies.one_per_layer)
    model = parts.model
    keys = randomness.per_example(key, batch["index"])
    zeros = tuple(jnp.zeros((BATCH, n)) for n in c.model.latent_sizes)
    z, log_q = model.infer(params, batch["image"], normal_like(_named(keys, "inference"), zeros))
    decoded = likelihood.log_prob(model.decode(params, z), batch["image"])
    tilt = sum(parts.energies.terms(params["energy"], z))
    return -jnp.mean(decoded + model.prior(params).log_prob(z) + tilt - log_q)


def _named(keys, name):
    return randomness.streams(keys, name)


@pytest.mark.parametrize("step", [0, 2])
def test_generator_and_inference_follow_the_elbo(batch, step):
    c = small(model__energy__zero_init=False, optim__energy_l2=0.0)
    method, state = start(c, batch)
    key = jax.random.key(5)
    _, metrics = jax.jit(method.update)(state._replace(step=jnp.int32(step)), batch, key)
    params = state.params
    if step < c.train.warmup_steps:  # no energies yet
        params = {**params, "energy": jax.tree.map(jnp.zeros_like, params["energy"])}
    grads = jax.grad(lambda p: reference_elbo(c, p, batch, key))(params)
    for group in ("generator", "inference"):
        expected = float(optax.tree.norm(grads[group]))
        assert float(metrics[f"grad_norm/{group}"]) == pytest.approx(expected, rel=1e-4)
    if step == 0:  # after the warm-up β has its negative phase as well: see test_estimators
        expected = float(optax.tree.norm(grads["prior"]))
        assert float(metrics["grad_norm/prior"]) == pytest.approx(expected, rel=1e-4)


def test_energy_penalty_does_not_reach_the_inference_net(batch):
    norms = {}
    for weight in (0.0, 10.0):
        c = small(model__energy__zero_init=False, optim__energy_l2=weight)
        method, state = start(c, batch)
        state = state._replace(step=jnp.int32(5))
        _, metrics = jax.jit(method.update)(state, batch, jax.random.key(0))
        norms[weight] = {g: float(metrics[f"grad_norm/{g}"]) for g in state.params}
    assert norms[0.0]["inference"] == pytest.approx(norms[10.0]["inference"], rel=1e-5)
    assert norms[0.0]["energy"] != pytest.approx(norms[10.0]["energy"], rel=1e-2)


@pytest.mark.parametrize("space", ["u", "z"])
def test_without_energy_the_prior_chain_keeps_its_base(batch, space):
    """F = 0: the chain's latents keep the hierarchical prior's moments (ULA's bias aside)."""
    c = small()
    c.sampler.prior.space, c.sampler.prior.init = space, "ancestral"
    c.sampler.prior.num_steps = 40
    c.sampler.prior.step_size = 0.3 if space == "u" else 0.1
    method, state = start(c, batch)
    state = methods.inference_state(state)
    draw = jax.jit(method.sample, static_argnums=2, static_argnames="prior")
    ebm = draw(state, jax.random.key(0), 4000, prior="ebm").latents
    gaussian = draw(state, jax.random.key(1), 4000, prior="gaussian").latents
    for a, b in zip(ebm, gaussian, strict=True):
        # Quantiles: exp(log σ) of a random net has tails too heavy for a standard deviation.
        low, middle, high = np.quantile(a, (0.1, 0.5, 0.9), axis=0)
        expected_low, expected_middle, expected_high = np.quantile(b, (0.1, 0.5, 0.9), axis=0)
        np.testing.assert_allclose(middle, expected_middle, atol=0.12)
        np.testing.assert_allclose((high - low) / (expected_high - expected_low), 1.0, atol=0.1)


def test_sample_i_depends_on_its_index_alone(batch):
    method, state = start(small(), batch)
    state = methods.inference_state(state)
    draw = methods.compiled(method).sample
    eight = draw(state, jax.random.key(0), 8).images
    four = draw(state, jax.random.key(0), 4, start=4).images
    np.testing.assert_allclose(four, eight[4:], atol=1e-5)  # matmuls round by batch shape


def test_unknown_prior_is_refused(batch):
    method, state = start(small(), batch)
    with pytest.raises(ConfigError, match="prior is 'EBM'"):
        method.sample(methods.inference_state(state), jax.random.key(0), 2, prior="EBM")


def test_first_energy_update_has_the_configured_rate(batch):
    """Adam's first step is lr · sign(gradient); after averaging zeros it overshoots."""
    c = small(train__warmup_steps=5)
    method, state = start(c, batch)
    warm, _ = advance(method, state, batch, 5)
    learned, _ = advance(method, warm, batch, 1)
    moved = jax.tree.map(
        lambda a, b: jnp.max(jnp.abs(a - b)),
        *(s.params["energy"]["layer_1"]["Dense_1"] for s in (learned, warm)),
    )
    assert float(moved["kernel"]) == pytest.approx(c.optim.energy.learning_rate, rel=1e-3)


def test_positive_and_negative_chains_start_apart(batch):
    """At step size ~0 the chains' ends are their starts: the two phases share no noise."""
    c = small(method__learning="mcmc", eval__posterior="langevin")
    c.sampler.prior.step_size = c.sampler.posterior.step_size = 1e-6
    method, state = start(c, batch)
    view = methods.inference_state(state)
    positive = method.posterior(view, batch["image"], jax.random.key(0), batch["index"])
    negative = method.sample(view, jax.random.key(0), BATCH).latents
    correlation = np.corrcoef(positive[1].ravel(), negative[1].ravel())[0, 1]
    assert abs(correlation) < 0.35  # 128 independent pairs: σ = 0.09


def test_groups_follow_the_switches(batch):
    def groups(**settings):
        return set(start(small(**settings), batch)[1].params)

    full = {"generator", "prior", "energy", "inference"}
    assert groups() == full
    assert groups(model__energy__enabled=False) == full - {"energy"}
    assert groups(model__latent_sizes=(5,)) == full - {"prior"}
    assert groups(method__learning="mcmc", eval__posterior="langevin") == full - {"inference"}
    assert groups(method__learning="mcmc", sampler__posterior__init="inference") == full


def test_log_score_redraws_only_the_layers_below_k(batch):
    method, state = start(small(), batch)
    state = methods.inference_state(state)
    images, index = jnp.asarray(batch["image"]), jnp.arange(BATCH)
    scores = [method.log_score(state, images, jax.random.key(0), index, k) for k in (0, 1)]
    assert all(s.shape == (BATCH,) and bool(jnp.all(jnp.isfinite(s))) for s in scores)
    # The posterior explains its image better than ancestral draws do (the net is untrained: mean).
    z = method.posterior(state, images, jax.random.key(0), index)
    again = method.log_score(state, images, jax.random.key(0), index, 0)
    np.testing.assert_array_equal(scores[0], again)
    assert changed(scores[0], scores[1])
    assert z[0].shape == (BATCH, 16)
    with pytest.raises(ConfigError, match="k is 2; with 2 layers use 0 to 1"):
        method.log_score(state, images, jax.random.key(0), index, 2)


def test_spectral_normalisation_bounds_the_energies(batch):
    c = small(model__energy__zero_init=False, model__energy__spectral_norm=True)
    c.model.energy.hidden = (32, 32)
    method, state = start(c, batch)
    scaled = jax.tree.map(lambda p: 50 * p, state.params["energy"])
    state = state._replace(params={**state.params, "energy": scaled})
    update = jax.jit(method.update)
    for k in range(30):  # the power iteration converges on fixed kernels
        moved, _ = update(state, batch, jax.random.key(k))
        state = state._replace(extra=moved.extra)
    view = methods.inference_state(state._replace(ema=state.params))
    zeros = tuple(jnp.zeros((1, n)) for n in c.model.latent_sizes)
    ones = tuple(x.at[0, 0].set(1.0) for x in zeros)
    gap = abs(float(method.energy(view, ones)[0] - method.energy(view, zeros)[0]))
    assert gap < 2.1  # two 1-Lipschitz heads, each moved by a distance of 1


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"method__learning": "guessing"}, "method.learning is 'guessing'"),
        ({"sampler__prior__space": "w"}, "sampler.prior.space is 'w'"),
        ({"sampler__prior__init": "inference"}, "sampler.prior.init is 'inference'"),
        ({"sampler__posterior__kernel": "hmc"}, "sampler.posterior.kernel is 'hmc'"),
        ({"sampler__prior__num_steps": 0}, "sampler.prior.num_steps is 0"),
        ({"model__likelihood__kind": "cauchy"}, "model.likelihood.kind is 'cauchy'"),
        ({"method__name": "vae2"}, "method.name is 'vae2'"),
        ({"method__learning": "mcmc"}, "eval.posterior is 'inference', but MCMC"),
        ({"eval__posterior": "guess"}, "eval.posterior is 'guess'"),
        ({"data__range": (0.0, 1.0)}, "data.range is (0.0, 1.0)"),
        ({"model__energy__spectral_norm": True}, "model.energy.zero_init and"),
        ({"sampler__prior__kernel": "mala", "sampler__prior__clip": 1.0}, "sampler.prior.clip is"),
    ],
)
def test_a_bad_setting_is_a_sentence(settings, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        methods.build(small(**settings))


@pytest.mark.parametrize(
    "name", ["joint", "joint_mcmc", "vae", "hvae", "lebm", "abp", "joint_warm_start"]
)
def test_every_config_learns_to_reconstruct(name, batch):
    c = importlib.import_module(f"configs.digits_{name.removesuffix('_warm_start')}").get_config()
    c.train.warmup_steps = min(c.train.warmup_steps, 100)
    c.sampler.prior.num_steps = 5
    c.sampler.posterior.num_steps = 20
    if name == "joint_warm_start":
        c.method.learning, c.sampler.posterior.init = "mcmc", "inference"
    method, state = start(c, batch)
    state, _ = advance(method, state, batch, 1)
    state, later = advance(method, state, batch, 150)
    x = batch["image"]
    variance = float(np.mean((x - x.mean(0)) ** 2)) / 4  # what a constant image leaves
    assert float(later["loss/reconstruction_mse"]) < 0.6 * variance
    assert all(np.isfinite(float(v)) for v in later.values())


def test_every_optimiser_group_has_settings():
    assert {"generator", "prior", "energy", "inference"} <= set(base.get_config().optim)


def test_latent_maps_are_inverse_and_decode_as_sampling_does(batch):
    c = small()
    method, state = start(c, batch)
    state, _ = advance(method, state, batch, 3)
    averaged = methods.inference_state(state)
    samples = method.sample(averaged, jax.random.key(1), 5, prior="gaussian")
    u = method.maps.to_u(averaged, samples.latents)
    back = method.maps.to_z(averaged, u)
    for a, b in zip(back, samples.latents, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(u[-1], samples.latents[-1])  # the top layer is standard normal
    assert not np.allclose(u[0], samples.latents[0])
    images = method.maps.decode(averaged, samples.latents)
    np.testing.assert_allclose(images, samples.images, atol=1e-6)


def test_the_ladder_learns_by_the_same_estimators(batch):
    """Every group moves, spectral norm bounds the energy's slope, the prior has no parameters."""
    c = digits_ladder.get_config()
    c.data.batch_size, c.train.warmup_steps = BATCH, 2
    c.sampler.prior.num_steps = 5
    c.optim.generator.learning_rate = c.optim.inference.learning_rate = 3e-3
    method, state = start(c, batch)
    assert (method.name, set(state.params)) == ("ladder", {"generator", "energy", "inference"})
    first, early = advance(method, state, batch, 1)
    assert not changed(first.params["energy"], state.params["energy"])  # the warm-up
    later, late = advance(method, first, batch, 60)
    assert all(changed(later.params[group], state.params[group]) for group in state.params)
    assert late["loss/reconstruction_mse"] < 0.8 * early["loss/reconstruction_mse"]
    averaged = methods.inference_state(later)
    z = method.sample(averaged, jax.random.key(1), 50, prior="gaussian").latents
    slope = jax.grad(lambda z: method.energy(averaged, z).sum())(z)
    norms = jnp.sqrt(sum(jnp.sum(g**2, axis=-1) for g in slope))
    assert float(norms.max()) < 1.5  # 1-Lipschitz but for the power iteration's error
