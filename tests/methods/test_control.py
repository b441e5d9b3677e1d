"""Samples by attributes: a target known in closed form, what stays, what the coupling learns."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits_control, digits_hvae, digits_two_stage, stages
from ebm_jax import data, methods, randomness
from ebm_jax.compilation import jit_once
from ebm_jax.densities import diffusion
from ebm_jax.densities.coupling import log_prob, marginal
from ebm_jax.densities.gaussian import normal_log_prob, standard_normal_log_prob
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.errors import ConfigError
from ebm_jax.inference import on_all_devices
from ebm_jax.methods import control, latent_model
from ebm_jax.methods.reverse_chain import ReverseChain, all_levels
from ebm_jax.models import backbones, coupling, energies
from ebm_jax.samplers import normal_like
from tests.methods.test_second_stages import narrow

ATTRIBUTES = (("class", 10), ("thickness", 3))


def joint_config():
    c = digits_two_stage.get_config()
    stages.control(c, ATTRIBUTES)
    return c


def prepared(c, batch_size=16):
    narrow(c, train__first_stage="runs/first")
    c.coupling.hidden = (8,)
    c.data.batch_size = batch_size
    return c


@pytest.fixture(scope="module")
def batch():
    c = prepared(joint_config())
    dataset = data.open_dataset(c.data, "train")
    data.fill_in(c.data, dataset)
    return data.make_batch(dataset, c.data, 0, 0)


@pytest.fixture(scope="module")
def first(batch):
    method = methods.build(narrow(digits_hvae.get_config()))
    return methods.inference_state(jit_once(method.init)(jax.random.key(7), batch))


def begun(c, batch, first):
    method = methods.build(prepared(c))
    return method, jit_once(method.init)(jax.random.key(1), batch, first)


def test_asked_for_by_linear_logits_a_layer_is_a_shifted_gaussian(batch, first):
    """With F = Wz + b and no other energy p(z|y) ∝ exp(W_y z) N(z; 0, I) = N(W_y, I)."""
    c = joint_config()
    prepared(c)
    c.coupling.hidden, c.coupling.layers = (), ((2,), (1,))
    c.sampler.prior.num_steps, c.sampler.prior.step_size = 200, 0.3
    method = methods.build(c)
    state = methods.inference_state(jit_once(method.init)(jax.random.key(1), batch, first))
    weights = np.random.default_rng(0).normal(size=(8, 10)).astype(np.float32)
    (kernel,) = [p for p in jax.tree.leaves(state.params["coupling"]["attribute_1"]) if p.ndim == 2]
    assert kernel.shape == weights.shape
    params = jax.tree.map(jnp.zeros_like, state.params["coupling"])
    layer = {"Dense_0": {"kernel": jnp.asarray(weights), "bias": jnp.ones(10)}}
    coupled = {**params, "attribute_1": layer}
    state = state._replace(params={**state.params, "coupling": coupled})
    count = 4000
    values = np.tile(np.array([[3, -1]], np.int32), (count, 1))
    request = methods.compiled(method).control.request
    images, z = request(state, jax.random.key(0), np.arange(count), values)
    assert images.shape == (count, 8, 8, 1)
    variance = 1 / (1 - 0.3**2 / 4)  # of the discretised chain
    np.testing.assert_allclose(np.mean(z[1], 0), weights[:, 3], atol=4 * (variance / count) ** 0.5)
    np.testing.assert_allclose(np.cov(z[1].T), variance * np.eye(8), atol=0.12)
    # Whatever value will do: the mixture of all of them, whose mean is that of W_y by their mass.
    _, z = request(state, jax.random.key(0), np.arange(count), 0 * values - 1)
    mass = np.exp(0.5 * (weights**2).sum(0))
    mean = weights @ (mass / mass.sum())
    assert np.abs(np.mean(z[1], 0) - weights[:, 3]).max() > 0.5
    u = methods.compiled(method).maps.to_u(state, z)
    assert np.abs(np.mean(u[0], 0)).max() < 0.1
    assert np.linalg.norm(np.mean(z[1], 0) - mean) < 0.75 * np.linalg.norm(mean)


def test_the_steps_of_a_request_shrink_as_asked(batch, first):
    """Without energies u is left at the variance that the steps give N(0, I), by hand."""
    c = joint_config()
    c.eval.request_steps = ((3, 2.0), (2, 0.5))
    c.sampler.prior.step_size = 0.9
    method, state = begun(c, batch, first)
    state = methods.inference_state(state)
    coupling_off = jax.tree.map(jnp.zeros_like, state.params["coupling"])
    state = state._replace(params={**state.params, "coupling": coupling_off})
    method, count = methods.compiled(method), 2000
    anything = np.full((count, 2), -1, np.int32)
    _, z = method.control.request(state, jax.random.key(0), np.arange(count), anything)
    variance = 1.0
    for s in (1.8, 1.8, 1.8, 0.45, 0.45):
        variance = (1 - s**2 / 2) ** 2 * variance + s**2
    for u in method.maps.to_u(state, z):
        assert abs(np.var(u) / variance - 1) < 5 * np.sqrt(2 / u.size)


@pytest.mark.parametrize("build", [joint_config, digits_control.get_config])
def test_layers_that_are_kept_keep_their_u(build, batch, first):
    method, state = begun(build(), batch, first)
    state = methods.inference_state(state)
    method = methods.compiled(method)
    count = 5
    anything = np.full((count, 2), -1, np.int32)
    wanted = np.tile(np.array([[4, 2]], np.int32), (count, 1))
    index = np.arange(count)
    _, z = method.control.request(state, jax.random.key(0), index, anything)
    u = method.maps.to_u(state, z)
    for moved in ((0,), (1,)):
        _, changed = method.control.request(state, jax.random.key(2), index, wanted, 1.0, z, moved)
        found = method.maps.to_u(state, changed)
        kept = 1 - moved[0]
        np.testing.assert_allclose(found[kept], u[kept], atol=1e-4)
        assert np.abs(found[moved[0]] - u[moved[0]]).min(1).max() > 1e-3


@pytest.mark.parametrize("build", [joint_config, digits_control.get_config])
def test_a_sample_is_the_same_in_any_company(build, batch, first):
    c = build()
    c.sampler.prior.step_size /= 3  # of an untrained diffusion one chain in twenty diverges
    method, state = begun(c, batch, first)
    state = methods.inference_state(state)
    request = methods.compiled(method).control.request
    values = np.array([[1, 0], [2, -1], [-1, 2], [3, 1]], np.int32)
    images, _ = request(state, jax.random.key(0), np.arange(4), values)
    again, _ = request(state, jax.random.key(0), np.array([3, 1]), values[[3, 1]])
    np.testing.assert_allclose(again, images[np.array([3, 1])], atol=1e-5)
    stronger, _ = request(state, jax.random.key(0), np.arange(4), values, 20.0)
    assert np.abs(stronger - images).max() > 1e-4


@pytest.mark.parametrize("build", [joint_config, digits_control.get_config])
def test_the_coupling_learns_beside_the_energies_and_the_backbone_stays(build, batch, first):
    c = build()
    c.optim.coupling.algorithm, c.optim.coupling.learning_rate = "sgd", 1.0
    method, state = begun(c, batch, first)
    after, metrics = jax.jit(method.update)(state, batch, jax.random.key(3))
    moved = jax.tree.map(lambda a, b: np.abs(a - b).max(), state.params, after.params)
    for group in ("generator", "prior", "inference"):
        assert max(jax.tree.leaves(moved[group])) == 0
    assert min(jax.tree.leaves(moved["coupling"])) > 0
    assert {"coupling/log_prob", "coupling/accuracy_class", "coupling/accuracy_thickness"} <= {
        *metrics
    }
    assert np.isfinite(metrics["coupling/log_prob"]) and metrics["coupling/log_prob"] < 0


@pytest.mark.parametrize("build", [joint_config, digits_control.get_config])
def test_in_the_warm_up_the_coupling_alone_learns(build, batch, first):
    """By log p(y|z), whatever the chain; from its end on the energies learn too."""
    c = build()
    c.train.warmup_steps = 3
    if c.method.name == "joint":
        c.optim.energy_l2 = 0.5
    c.model.energy.zero_init = False
    for group in ("coupling", "energy"):
        c.optim[group].algorithm, c.optim[group].learning_rate = "sgd", 1.0
    method, state = begun(c, batch, first)
    update = jax.jit(method.update)
    key = jax.random.key(3)

    def moved(step):
        at = state._replace(step=jnp.int32(step))
        after, metrics = update(at, batch, key)
        change = jax.tree.map(lambda a, b: b - a, state.params, after.params)
        assert np.isfinite(metrics["loss/total"])
        return jax.device_get(change), metrics

    early, metrics = moved(2)
    late, _ = moved(3)
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(early["energy"])) == 0
    assert max(np.abs(leaf).max() for leaf in jax.tree.leaves(late["energy"])) > 0
    np.testing.assert_allclose(metrics["loss/total"], -metrics["coupling/log_prob"], rtol=1e-5)
    # A step up the slope of log p(y|z); the marginal's share comes with the chains.
    better = state._replace(params={**state.params, "coupling": scaled(state, early)})
    assert update(better, batch, key)[1]["coupling/log_prob"] > metrics["coupling/log_prob"]
    both = zip(*map(jax.tree.leaves, (early["coupling"], late["coupling"])), strict=True)
    assert all(np.abs(a - b).max() > 0 for a, b in both)


def scaled(state, change):
    return jax.tree.map(lambda p, d: p + 0.01 * d, state.params["coupling"], change["coupling"])


def test_the_loss_is_of_the_likelihood_of_images_with_their_attributes(batch, first):
    """−(E⁺[Σ_a F_a(z)_{y_a}] − E⁻[Σ_a log Σ_y exp F_a(z)_y]) with the weight 1."""
    c = prepared(joint_config())
    parts = latent_model.build_parts(c, backbones.build, energies.one_per_layer, second_stage=True)
    method = methods.build(c)
    params = jit_once(method.init)(jax.random.key(1), batch, first).params
    rng = np.random.default_rng(0)
    positive, negative = (
        tuple(jnp.asarray(rng.normal(size=(16, size)), jnp.float32) for size in (16, 8))
        for _ in range(2)
    )
    values = parts.attributes.values(params, batch, positive)
    found, _ = parts.attributes.loss(params, values, 1.0, positive, negative)
    ours, theirs = (parts.coupling.logits(params["coupling"], z) for z in (positive, negative))
    labels = batch["attributes"]
    told = sum(
        np.take_along_axis(np.asarray(f), labels[:, [a]], 1)[:, 0] for a, f in enumerate(ours)
    )
    expected = np.mean(marginal(theirs)) - np.mean(told)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    c.coupling.weight = 3.0
    parts = latent_model.build_parts(c, backbones.build, energies.one_per_layer, second_stage=True)
    heavier, _ = parts.attributes.loss(params, values, 1.0, positive, negative)
    np.testing.assert_allclose(heavier - found, -2 * np.mean(log_prob(ours, labels)), rtol=1e-4)


@pytest.mark.parametrize("build", [joint_config, digits_control.get_config])
def test_decoded_labels_are_measured_on_the_image_that_z_is_decoded_to(build, batch, first):
    """The class stays the data's; all of the coupling's learning is by these values."""
    c = prepared(build())
    dataset = data.open_dataset(c.data, "train")
    data.fill_in(c.data, dataset)
    c.coupling.labels = "decoded"
    method = methods.build(c)
    state = jit_once(method.init)(jax.random.key(1), batch, first)
    images = methods.compiled(method).reconstruct(
        methods.inference_state(state), batch["image"], jax.random.key(0), batch["index"]
    )
    z = methods.compiled(method).posterior(
        methods.inference_state(state), batch["image"], jax.random.key(0), batch["index"]
    )
    one = energies.one_per_layer_and_level if c.method.name == "diffusion" else None
    parts = latent_model.build_parts(
        c, backbones.build, one or energies.one_per_layer, second_stage=True, timed=bool(one)
    )
    found = np.asarray(parts.attributes.values(state.params, batch, z))
    pixels = data.to_uint8(np.asarray(images), c.data.range)
    measured = data.attributes.measured("thickness", pixels)
    thickness = np.digitize(measured, c.data.attribute_edges[1])
    np.testing.assert_array_equal(found[:, 0], batch["attributes"][:, 0])
    np.testing.assert_array_equal(found[:, 1], thickness)
    assert (thickness != batch["attributes"][:, 1]).any()

    c.coupling.labels = "data"
    by_data, by_decoded = (
        jax.jit(m.update)(state, batch, jax.random.key(3))[0].params["coupling"]
        for m in (methods.build(c), method)
    )
    changed = jax.tree.map(lambda a, b: np.abs(a - b).max(), by_data, by_decoded)
    assert max(jax.tree.leaves(changed["attribute_1"])) == 0
    assert max(jax.tree.leaves(changed["attribute_2"])) > 0


def test_attributes_need_a_first_stage():
    c = digits_hvae.get_config()
    stages.control(c, ATTRIBUTES)
    with pytest.raises(
        ConfigError, match="attributes are coupled with the latents of a first stage"
    ):
        methods.build(c)


@pytest.mark.parametrize("build", [joint_config, digits_control.get_config])
def test_samples_for_which_nothing_is_asked_are_the_priors(build, batch, first):
    """And the coupling's marginal is part of the prior, though the energies are still 0."""
    method, state = begun(build(), batch, first)
    state = methods.inference_state(state)
    method = methods.compiled(method)
    key, anything = jax.random.key(0), np.full((4, 2), -1, np.int32)
    asked, _ = method.control.request(state, key, np.arange(4), anything, 7.0)
    drawn = method.sample(state, key, 4).images
    np.testing.assert_allclose(asked, drawn, atol=1e-4)
    without = jax.tree.map(jnp.zeros_like, state.params["coupling"])
    without = state._replace(params={**state.params, "coupling": without})
    assert np.abs(method.sample(without, key, 4).images - drawn).max() > 1e-3


def test_two_devices_give_what_one_gives(batch, first):
    """Five requests, with and without layers that are kept."""
    method, state = begun(joint_config(), batch, first)
    state = methods.inference_state(state)
    one, many = methods.compiled(method), on_all_devices(method)
    values = np.array([[1, 0], [2, -1], [-1, 2], [3, 1], [9, 2]], np.int32)
    key, index = jax.random.key(0), np.arange(5)
    free = [m.control.request(state, key, index, values, 2.0) for m in (one, many)]
    z = jax.device_get(free[0][1])
    kept = [m.control.request(state, key, index, values, 2.0, z, (0,)) for m in (one, many)]
    images = (state, batch["image"][:5], key, index)
    told = [m.control.log_probs(*images) for m in (one, many)]
    terms = [m.layer_terms(*images) for m in (one, many)]
    for pair in (free, kept, told, terms):
        for a, b in zip(*map(jax.tree.leaves, pair), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    for m in (one, many):
        with pytest.raises(ConfigError, match="give `kept` and `moved` together, or neither"):
            m.control.request(state, key, index, values, 2.0, z)


def mixture(means, spread):
    """Parts of a model whose logits are exact at every level, and its levels: class y of the one
    layer is N(means[y], spread²), and so N(ᾱ means[y], ᾱ² spread² + σ̄²) once it is noised."""
    levels = diffusion.schedule(3)

    def logits(params, z, t):
        alpha, sigma = levels.alpha_bar[t], levels.sigma_bar[t]
        scale = jnp.sqrt(alpha**2 * spread**2 + sigma**2)[:, None]
        log_ratios = [
            normal_log_prob(z[0], alpha[:, None] * mean[None], scale)
            - standard_normal_log_prob(z[0])
            for mean in means
        ]
        return (jnp.stack(log_ratios, axis=1),)

    def noise(keys, name):
        return normal_like(randomness.streams(keys, name), (jnp.zeros((len(keys), 2)),))

    prior = hierarchical_prior(None, 1)
    parts = types.SimpleNamespace(
        coupling=coupling.Coupling(None, logits),
        model=types.SimpleNamespace(
            latent_shapes=((2,),), prior=lambda params: prior, decode=lambda params, z: z[0]
        ),
        chains=types.SimpleNamespace(noise=noise),
        likelihood=types.SimpleNamespace(mean=lambda raw: raw),
        normalised=lambda params, extra: (params, extra),
    )
    return parts, levels


@pytest.fixture(scope="module")
def request_of_mixture():
    """A request of samples of two classes, through the levels of a diffusion."""
    means, spread = jnp.asarray([[-1.5, 0.5], [1.0, 1.0]]), 0.4
    parts, levels = mixture(means, spread)
    chain = ReverseChain(levels, diffusion.step_sizes(levels, 0.06**2), 1500)
    found = control.build(
        parts,
        tilt=lambda params, z, t: marginal(parts.coupling.logits({"coupling": None}, z, t)),
        run=lambda keys, tilt, start: all_levels(chain, tilt, keys, start).position,
        noised=functools.partial(diffusion.noised, levels),
    )
    state = methods.InferenceState({"coupling": None}, {})

    def request(value, count=2000):
        values = jnp.full((count, 1), value, jnp.int32)
        return jax.jit(found.request)(state, jax.random.key(0), jnp.arange(count), values)[0]

    return request, means, spread


@pytest.mark.parametrize("value", [0, 1])
def test_a_diffusion_gives_the_class_that_is_asked_for(request_of_mixture, value):
    request, means, spread = request_of_mixture
    samples = request(value)
    np.testing.assert_allclose(samples.mean(0), means[value], atol=0.06)
    np.testing.assert_allclose(samples.std(0), spread, atol=0.06)


def test_a_diffusion_gives_all_classes_where_none_is_asked_for(request_of_mixture):
    request, means, _ = request_of_mixture
    samples = request(-1)
    nearest = np.linalg.norm(samples[:, None] - means[None], axis=-1).argmin(1)
    assert nearest.mean() == pytest.approx(0.5, abs=0.1)
    for value, mean in enumerate(means):
        np.testing.assert_allclose(samples[nearest == value].mean(0), mean, atol=0.12)
