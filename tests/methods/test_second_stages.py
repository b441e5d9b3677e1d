"""Energies on a first stage: what learns, from what, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits_diffusion, digits_hvae, digits_ladder, digits_two_stage
from ebm_jax import data, first_stage, methods, randomness
from ebm_jax.densities import diffusion as levels_of
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.wording import prior_words
from ebm_jax.methods import latent_model
from ebm_jax.methods.base import InferenceState
from ebm_jax.models import energies, latent_variable
from ebm_jax.samplers import normal_like

BATCH = 16


def narrow(c, **settings):
    c.data.batch_size = BATCH
    c.model.generator.hidden = c.model.inference.hidden = (16,)
    c.model.inference.latent_hidden = c.model.prior.hidden = (8,)
    c.model.energy.hidden = (8, 8)
    c.sampler.prior.num_steps = 5
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


def on_backbone(module, **settings):
    return narrow(module.get_config(), train__first_stage="runs/first", **settings)


@pytest.fixture(scope="module")
def batch():
    c = digits_hvae.get_config()
    return data.make_batch(data.open_dataset(c.data, "train"), narrow(c).data, 0, 0)


@pytest.fixture(scope="module")
def first(batch):
    method = methods.build(narrow(digits_hvae.get_config()))
    return methods.inference_state(jax.jit(method.init)(jax.random.key(7), batch))


def same(a, b):
    return all(bool(jnp.all(x == y)) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def assert_moved_by(before, after, gradient):
    """One step of SGD at the rate 1."""
    for p, new, g in zip(*map(jax.tree.leaves, (before, after, gradient)), strict=True):
        limit = 2e-3 * float(jnp.abs(g).max())
        np.testing.assert_allclose(p - new, g, rtol=1e-3, atol=limit)


MODULES = pytest.mark.parametrize("module", [digits_two_stage, digits_diffusion])


@MODULES
def test_only_the_energies_learn(module, batch, first):
    method = methods.build(on_backbone(module, model__energy__zero_init=False))
    state = jax.jit(method.init)(jax.random.key(0), batch, first)
    assert set(state.params) == {"generator", "prior", "inference", "energy"}
    for group in first.params:
        assert same(state.params[group], first.params[group])
    assert set(state.opt_state) == {"energy"}
    moved, metrics = jax.jit(method.update)(state, batch, jax.random.key(1))
    for group in first.params:
        assert same(moved.params[group], first.params[group])
    assert not same(moved.params["energy"], state.params["energy"])
    assert {name for name in metrics if name.startswith("grad_norm")} == {"grad_norm/energy"}


@MODULES
def test_parts_of_a_batch_give_the_gradient_of_the_whole(module, batch, first):
    grads = []
    for parts in (1, 4):
        c = on_backbone(module, model__energy__zero_init=False, train__accumulate=parts)
        c.optim.energy.algorithm = "sgd"
        method = methods.build(c)
        state = jax.jit(method.init)(jax.random.key(0), batch, first)
        grads.append(jax.jit(method.update)(state, batch, jax.random.key(1))[0].params["energy"])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), *grads)


def hand_made(c, state, batch, key):
    """(parts, keys, ũ of the batch's latents) of a step, written out once more."""
    build = energies.one_per_layer if c.method.name == "joint" else energies.one_per_layer_and_level
    parts = latent_model.build_parts(c, latent_variable.build, build, second_stage=True)
    keys = randomness.per_example(key, batch["index"])
    zeros = tuple(jnp.zeros((BATCH, size)) for size in c.model.latent_sizes)

    def noise(name):
        return normal_like(randomness.streams(keys, name), zeros)

    z, _ = parts.model.infer(state.params, batch["image"], noise("inference"))
    return parts, keys, noise, z


def test_two_stage_gradient_is_data_minus_chain(batch, first):
    """−(∇F(z⁺) − ∇F(z⁻)), z⁺ one pass of q, z⁻ the u-space chain on F(T(u)) − ½‖u‖²."""
    c = on_backbone(
        digits_two_stage, model__energy__zero_init=False, optim__energy__algorithm="sgd"
    )
    c.optim.energy.learning_rate = 1.0
    method = methods.build(c)
    state = jax.jit(method.init)(jax.random.key(0), batch, first)
    key = jax.random.key(1)
    parts, keys, noise, z = hand_made(c, state, batch, key)
    prior, s = parts.model.prior(state.params), c.sampler.prior.step_size

    def log_prob(u):
        f = sum(parts.energies.terms(state.params["energy"], prior.to_z(u)[0]))
        return jnp.sum(f) - 0.5 * sum(jnp.sum(leaf**2) for leaf in u)

    u, chain_keys = noise("start"), randomness.streams(keys, "prior")
    for k in range(c.sampler.prior.num_steps):
        xi = normal_like(jax.vmap(lambda one, k=k: jax.random.fold_in(one, k))(chain_keys), u)
        pull = jax.grad(log_prob)(u)
        u = tuple(a + s**2 / 2 * g + s * e for a, g, e in zip(u, pull, xi, strict=True))

    def loss(energy):
        def total(z):
            return jnp.mean(sum(parts.energies.terms(energy, z)))

        return total(prior.to_z(u)[0]) - total(z)

    expected = jax.grad(loss)(state.params["energy"])
    moved = jax.jit(method.update)(state, batch, key)[0].params["energy"]
    for p, new, g in zip(
        *map(jax.tree.leaves, (state.params["energy"], moved, expected)), strict=True
    ):
        np.testing.assert_allclose(p - new, g, rtol=1e-3, atol=2e-6)


@pytest.mark.parametrize(
    "rule, b, power", [("annealed", 0.03, 1.0), ("annealed", 0.03, 0.5), ("conditional", 0.3, 1.0)]
)
def test_diffusion_gradient_is_of_the_papers_loss(batch, first, rule, b, power):
    """Σ_i mean[−(φ_i(T(ũ⁺)_i, t) − φ_i(T(ũ⁻)_i, t)) / η_t], ũ⁻ by the paper's step, from ũ_{t+1}
    (with a power of η_t where one is set):
    ũ ← ũ + ½ ∇Σφ − (η/2) ∇[r_t ‖α ũ − ũ_{t+1}‖² / 2σ² + ½ ‖ũ‖²] + √η ξ."""
    c = on_backbone(digits_diffusion, model__energy__zero_init=False)
    c.diffusion.step_rule, c.sampler.prior.step_size = rule, b
    c.diffusion.weight_power = power
    c.optim.energy.algorithm, c.optim.energy.learning_rate = "sgd", 1.0
    method = methods.build(c)
    state = jax.jit(method.init)(jax.random.key(0), batch, first)
    key = jax.random.key(1)
    parts, keys, noise, z = hand_made(c, state, batch, key)
    prior = parts.model.prior(state.params)
    levels = levels_of.schedule(3)
    draw = jax.vmap(lambda one: jax.random.randint(one, (), 0, 3))
    t = draw(randomness.streams(keys, "level"))
    assert set(np.asarray(t)) == {0, 1, 2}
    eta = b**2 * levels.sigma[t + 1][:, None] ** 2
    if rule == "annealed":
        eta *= (levels.sigma_bar[t] / levels.sigma_bar[0])[:, None]
    alpha, sigma = levels.alpha[t + 1][:, None], levels.sigma[t + 1][:, None]
    r = jnp.where(t == 2, 0.0, 1.0)[:, None]
    u0, e1, e2 = prior.to_u(z)[0], noise("noise"), noise("noisier")
    bar = levels.alpha_bar[t][:, None], levels.sigma_bar[t][:, None]
    positive = tuple(bar[0] * a + bar[1] * e for a, e in zip(u0, e1, strict=True))
    noisier = tuple(alpha * a + sigma * e for a, e in zip(positive, e2, strict=True))

    def phi(energy, u):
        return sum(parts.energies.terms(energy, prior.to_z(u)[0], t))

    def rest(u):
        pairs = zip(u, noisier, strict=True)
        pull = sum(jnp.sum(r * (alpha * a - b) ** 2 / (2 * sigma**2)) for a, b in pairs)
        return pull + 0.5 * sum(jnp.sum(a**2) for a in u)

    u, chain_keys = noisier, randomness.streams(keys, "prior")
    for k in range(c.sampler.prior.num_steps):
        xi = normal_like(jax.vmap(lambda one, k=k: jax.random.fold_in(one, k))(chain_keys), u)
        up = jax.grad(lambda u: jnp.sum(phi(state.params["energy"], u)))(u)
        moves = zip(u, up, jax.grad(rest)(u), xi, strict=True)
        u = tuple(a + g / 2 - eta / 2 * q + jnp.sqrt(eta) * e for a, g, q, e in moves)

    def loss(energy):
        return -jnp.mean((phi(energy, positive) - phi(energy, u)) / eta[:, 0] ** power)

    expected = jax.grad(loss)(state.params["energy"])
    moved = jax.jit(method.update)(state, batch, key)[0].params["energy"]
    for p, new, g in zip(
        *map(jax.tree.leaves, (state.params["energy"], moved, expected)), strict=True
    ):
        limit = 2e-3 * float(jnp.abs(g).max())
        np.testing.assert_allclose(p - new, g, rtol=1e-3, atol=limit)


def test_samples_of_a_diffusion_go_through_all_levels(batch, first):
    c = on_backbone(digits_diffusion)
    method = methods.compiled(methods.build(c))
    state = methods.inference_state(jax.jit(method.init)(jax.random.key(0), batch, first))
    got = method.sample(state, jax.random.key(3), 6, num_steps=4, keep_every=2)
    assert got.latent_trajectory[0].shape == (3 * 4 // 2, 6, 16)
    assert got.trajectory.shape == (6, 6, 8, 8, 1)
    np.testing.assert_array_equal(got.trajectory[-1], got.images)
    later = method.sample(state, jax.random.key(3), 3, start=3, num_steps=4)
    np.testing.assert_allclose(later.images, got.images[3:], atol=1e-5)


def test_levels_share_the_steps_of_a_diffusions_samples(batch, first):
    """Other shares, other samples; equal ones are those without; the protocol says which."""
    state, images, words = None, {}, {}
    for shares in ((), (1, 1, 1), (1, 3, 1)):
        c = on_backbone(digits_diffusion, eval__level_shares=shares)
        method = methods.compiled(methods.build(c))
        state = state or methods.inference_state(
            jax.jit(method.init)(jax.random.key(0), batch, first)
        )
        images[shares] = np.asarray(method.sample(state, jax.random.key(3), 4).images)
        words[shares] = prior_words(c, method)
    np.testing.assert_array_equal(images[()], images[1, 1, 1])
    assert np.abs(images[()] - images[1, 3, 1]).max() > 1e-2
    assert "5 Langevin steps of 0.05 in u-space at each of 3 levels (that is b; η_t" in words[()]
    assert " at each of 3 levels on average (that is b; η_t" in words[1, 3, 1]
    assert words[1, 3, 1].endswith(", divided 1 : 3 : 1 from level 0 up")


def test_energies_of_the_lowest_level_are_the_density(batch, first):
    """log p(x, z) has F(z, 0) = Σφ(z, 0) / η_0; `energy` is −F."""
    c = on_backbone(digits_diffusion, model__energy__zero_init=False)
    method = methods.build(c)
    state = methods.inference_state(jax.jit(method.init)(jax.random.key(0), batch, first))
    nets = energies.one_per_layer_and_level(c, ((16,), (8,)))
    z = method.posterior(state, batch["image"], jax.random.key(2), batch["index"])
    eta = float(levels_of.step_sizes(levels_of.schedule(3), c.sampler.prior.step_size**2)[0])
    layers = nets.terms(state.params["energy"], z, jnp.zeros(BATCH, jnp.int32))
    phi = sum(layers)
    np.testing.assert_allclose(method.energy(state, z), -phi / eta, rtol=1e-4)
    arguments = state, batch["image"], jax.random.key(2), batch["index"]
    np.testing.assert_allclose(method.log_terms(*arguments)["energy"], phi / eta, rtol=1e-4)
    for i, values in enumerate(layers, 1):
        found = method.layer_terms(*arguments)[f"layer_{i}"]
        np.testing.assert_allclose(found, values / eta, rtol=1e-4)


def test_terms_of_layers_need_an_energy_for_each(batch, first):
    c = on_backbone(digits_two_stage, model__energy__zero_init=False)
    method = methods.build(c)
    state = methods.inference_state(jax.jit(method.init)(jax.random.key(0), batch, first))
    z = method.posterior(state, batch["image"], jax.random.key(2), batch["index"])
    found = method.layer_terms(state, batch["image"], jax.random.key(2), batch["index"])
    expected = energies.one_per_layer(c, ((16,), (8,))).terms(state.params["energy"], z)
    assert list(found) == ["layer_1", "layer_2"]
    for values, f_i in zip(found.values(), expected, strict=True):
        np.testing.assert_allclose(values, f_i, rtol=1e-5)
    assert methods.build(narrow(digits_hvae.get_config())).layer_terms is None
    assert methods.build(digits_ladder.get_config()).layer_terms is None  # one for all


def test_a_first_stage_with_energies_is_refused(batch, first):
    c = on_backbone(digits_two_stage)
    own = InferenceState({**first.params, "energy": {}}, {})
    with pytest.raises(ConfigError, match="'runs/first' has energies of its own; name a run with"):
        methods.build(c).init(jax.random.key(0), batch, own)


def test_a_first_stage_with_other_nets_is_refused(batch, first):
    c = on_backbone(digits_two_stage, model__inference__latent_hidden=(9,))
    with pytest.raises(ConfigError, match="has other nets than this config in inference; use"):
        methods.build(c).init(jax.random.key(0), batch, first)


@pytest.mark.parametrize(
    "setting, value, message",
    [
        ("method.learning", "mcmc", "method.learning is 'mcmc', but the first stage's inference"),
        ("model.energy.enabled", False, "model.energy.enabled is False, but on a first stage"),
        ("diffusion.step_rule", "eta", "diffusion.step_rule is 'eta'; use one of: annealed, cond"),
        ("train.warmup_steps", 5, "train.warmup_steps is 5, but on a first stage nothing is"),
        ("diffusion.num_steps", 0, "diffusion.num_steps is 0; use 1 to 501 levels"),
        ("diffusion.num_steps", 502, "diffusion.num_steps is 502; use 1 to 501 levels"),
        (
            "diffusion.weight_power",
            1.5,
            "diffusion.weight_power is 1.5; use 0 .equal weights. to 1",
        ),
        ("eval.level_shares", (1, 2), r"level_shares is \(1, 2\); give one positive number"),
        ("eval.level_shares", (1, -1, 2), r"level_shares is \(1, -1, 2\); give one positive"),
        ("eval.level_shares", (0, 1, 1), r"level_shares is \(0, 1, 1\); give one positive"),
        ("eval.level_shares", (float("inf"), 1, 1), r"level_shares is \(inf, 1, 1\); give one"),
        ("eval.level_shares", ("a", 1, 2), r"level_shares is \('a', 1, 2\); give one positive"),
        ("sampler.prior.space", "z", "has space 'z', kernel 'langevin' and legacy_log_sigma False"),
        ("sampler.prior.step_size", 0.21, "but with diffusion.num_steps 3 Langevin .* from 0.204"),
        ("sampler.prior.step_size", float("nan"), "sampler.prior.step_size is nan, but with"),
        ("optim.energy_l2", 0.1, "optim.energy_l2 is 0.1, which method 'diffusion' has no use for"),
        ("eval.redraw_steps", 3, "eval.redraw_steps is 3, which method 'diffusion' has no use for"),
        ("sampler.prior.legacy_log_sigma", True, "'langevin' and legacy_log_sigma True; the diff"),
    ],
)
def test_settings_that_do_not_fit(setting, value, message):
    c = on_backbone(digits_diffusion)
    c.update_from_flattened_dict({setting: value})
    with pytest.raises(ConfigError, match=message):
        methods.build(c)


def test_steps_of_the_conditional_rule_may_be_as_long_as_those_of_a_gaussian():
    c = on_backbone(digits_diffusion)
    c.diffusion.step_rule, c.sampler.prior.step_size = "conditional", 1.9
    methods.build(c)
    c.sampler.prior.step_size = 2.0
    with pytest.raises(ConfigError, match="Langevin steps diverge on a Gaussian from 2 on"):
        methods.build(c)


def test_legacy_log_sigma_is_of_u_space_only():
    c = on_backbone(digits_two_stage, sampler__prior__legacy_log_sigma=True)
    methods.build(c)
    c.sampler.prior.space = "z"
    with pytest.raises(ConfigError, match="legacy_log_sigma is on, but log σ is part of"):
        methods.build(c)


def test_legacy_log_sigma_moves_the_chain(batch, first):
    """The released sampler's −Σ log σ pulls towards small σ: other samples from the same noise."""
    found = []
    for legacy in (False, True):
        c = on_backbone(digits_two_stage, sampler__prior__legacy_log_sigma=legacy)
        method = methods.build(c)
        state = methods.inference_state(jax.jit(method.init)(jax.random.key(0), batch, first))
        found.append(method.sample(state, jax.random.key(3), 64, num_steps=50).latents)
    exact, legacy = (
        methods.build(on_backbone(digits_two_stage)).maps.to_u(first, z) for z in found
    )
    prior = latent_variable.build(on_backbone(digits_two_stage), 1, with_inference=True).prior
    log_det = [float(prior(first.params).to_z(u)[1].mean()) for u in (exact, legacy)]
    assert log_det[1] < log_det[0] - 0.1


def test_two_stages_need_a_first_one_and_one_stage_takes_none():
    c = narrow(digits_two_stage.get_config())
    with pytest.raises(ConfigError, match="train.first_stage is not set, but method 'joint'"):
        first_stage.check(c, methods.build(c))
    c = narrow(digits_hvae.get_config(), train__first_stage="runs/first")
    with pytest.raises(ConfigError, match="but method 'joint' builds on no other run"):
        first_stage.check(c, methods.build(c))
    c.method.stages = 3
    with pytest.raises(ConfigError, match="method.stages is 3; use 1 or 2"):
        methods.build(c)
