"""The deep hierarchical VAE: its map between u and z, its densities, its posterior, its cells."""

import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from configs import digits_nvae
from ebm_jax.compilation import jit_once
from ebm_jax.densities.tilted import tilted_in_u, tilted_in_z
from ebm_jax.errors import ConfigError
from ebm_jax.models import deep
from ebm_jax.models.deep_nets import DeepVAE, Encoder, Tower, clamped
from ebm_jax.nn.nvae_cells import DecoderCell, EncoderCell

BATCH = 3


def small_config(**changes):
    c = digits_nvae.get_config()
    c.model.generator.hidden = c.model.inference.hidden = (8,)
    c.update_from_flattened_dict(changes)
    return c


def noisy(params, seed=0):
    """Parameters and statistics moved off their start, so that nothing is 0 or 1 by chance."""
    leaves, structure = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    shifts = [np.abs(rng.normal(size=leaf.shape)).astype(np.float32) for leaf in leaves]
    return structure.unflatten([leaf + 0.1 * s for leaf, s in zip(leaves, shifts, strict=True)])


def latents(model, seed=0, batch=BATCH):
    rng = np.random.default_rng(seed)
    shapes = model.latent_shapes
    return tuple(jnp.asarray(rng.normal(size=(batch, *s)), jnp.float32) for s in shapes)


def images(seed=9):
    x = np.random.default_rng(seed).uniform(-1, 1, size=(BATCH, 8, 8, 1))
    return jnp.asarray(x, jnp.float32)


@pytest.fixture(scope="module")
def built():
    """(model, parameters): three groups, two of 4 × 4 below one of 2 × 2."""
    model = deep.build(small_config(), 1, with_inference=True)
    return model, noisy(jit_once(model.init)(jax.random.key(0)))


def test_with_patches_the_finest_nets_are_smaller_and_every_pixel_is_seen():
    changes = {"model.generator.patch": 2, "model.likelihood.kind": "gaussian"}
    model = deep.build(small_config(**changes), 3, with_inference=True)
    params = noisy(jit_once(model.init)(jax.random.key(0)))
    assert model.latent_shapes == ((4, 4, 2), (4, 4, 2), (2, 2, 2))
    assert "after_0" not in params["generator"]  # no halvings are left below 4 × 4
    assert jit_once(model.decode)(params, latents(model)).shape == (BATCH, 8, 8, 3)
    # The encoder sees every pixel: each moves the finest posterior.
    noise = latents(model, seed=1)

    def finest(x):
        return model.infer(params, x, noise)[0][0].sum()

    assert (np.abs(jit_once(jax.grad(finest))(images())) > 0).all()


@pytest.mark.parametrize("patch", [0, 3, 16])
def test_patches_that_do_not_fit_are_refused(patch):
    with pytest.raises(ConfigError, match=f"patch is {patch}; use a power of two of at most 8"):
        deep.build(small_config(**{"model.generator.patch": patch}), 1, with_inference=True)


def test_remat_keeps_a_tenth_between_the_passes_and_has_the_same_gradients():
    kept, gradients = {}, {}
    for remat in (False, True):
        changes = {"train.remat": remat, "model.generator.cells": 2}
        model = deep.build(small_config(**changes), 1, with_inference=True)
        params = noisy(jit_once(model.init)(jax.random.key(0)))

        def loss(params, x, noise, model=model):
            raw, kl, statistics = model.learn(params, x, noise)
            return jnp.sum(raw**2) + jnp.sum(kl), statistics

        many = jax.ShapeDtypeStruct((256, 8, 8, 1), jnp.float32)
        noise = [jax.ShapeDtypeStruct((256, *shape), jnp.float32) for shape in model.latent_shapes]
        pull_back = jax.eval_shape(
            lambda *inputs, loss=loss: jax.vjp(loss, *inputs, has_aux=True)[1],
            *(params, many, tuple(noise)),
        )
        kept[remat] = sum(leaf.size for leaf in jax.tree.leaves(pull_back))
        noise = latents(model, seed=1)
        gradients[remat] = jit_once(jax.grad(loss, has_aux=True))(params, images(), noise)
    assert kept[True] < kept[False] / 10
    (without, statistics), (found, moved) = gradients.values()
    assert jax.tree.structure(without) == jax.tree.structure(found)  # checkpoints fit both
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), statistics, moved
    )
    leaves = jax.tree.leaves(without), jax.tree.leaves(found)
    # Biases before a normalisation have gradients of 0, and so of nothing but rounding.
    rounding = 1e-6 * max(np.abs(leaf).max() for leaf in leaves[0])
    for a, b in zip(*leaves, strict=True):
        np.testing.assert_allclose(a, b, atol=max(1e-4 * np.abs(a).max(), rounding))


# The prior


def test_u_comes_back_from_z(built):
    model, params = built
    assert model.latent_shapes == ((4, 4, 2), (4, 4, 2), (2, 2, 2))
    prior, u = model.prior(params), latents(model)
    z, log_det = jit_once(prior.to_z)(u)
    back, inverse = jit_once(prior.to_u)(z)
    for a, b in zip(u, back, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    np.testing.assert_allclose(log_det, -inverse, rtol=1e-5)


def test_log_det_is_that_of_the_whole_jacobian():
    model = deep.build(
        small_config(**{"model.latent_sizes": (1, 1), "model.generator.scales": (1, 1)}),
        1,
        with_inference=True,
    )
    params = noisy(jit_once(model.init)(jax.random.key(0)))
    u = latents(model, batch=1)
    flat, restore = jax.flatten_util.ravel_pytree(u)

    def to_z(flat):
        z, _ = model.prior(params).to_z(restore(flat))
        return jnp.concatenate([leaf.ravel() for leaf in z])

    jacobian = jit_once(jax.jacrev(to_z))(flat)
    sign, expected = np.linalg.slogdet(np.asarray(jacobian, np.float64))
    _, log_det = model.prior(params).to_z(u)
    assert sign == 1
    np.testing.assert_allclose(log_det[0], expected, rtol=1e-4)


def test_density_in_u_is_the_pull_back_of_that_in_z(built):
    """And the released sampler's, with −Σ log σ, is not: more than a constant is between them."""
    model, params = built
    prior, u = model.prior(params), latents(model)

    def tilt(z):
        return jnp.sin(z[0].sum((1, 2, 3))) - 0.1 * (z[2] ** 2).sum((1, 2, 3))

    z, log_det = prior.to_z(u)
    exact = tilted_in_u(prior, tilt)(u)
    np.testing.assert_allclose(exact, tilted_in_z(prior, tilt)(z) + log_det, rtol=1e-4)
    legacy = tilted_in_u(prior, tilt, legacy_log_sigma=True)(u)
    assert np.std(exact - legacy) > 0.1


def test_each_group_depends_on_all_above_it(built):
    """A change of z_L moves the means of both groups below it, one of z_2 that of the lowest."""
    model, params = built
    prior = jit_once(model.prior(params).to_z)
    zero = tuple(map(jnp.zeros_like, latents(model)))  # u = 0: the means
    means, _ = prior(zero)
    for changed in (1, 2):
        u = tuple(leaf + (i == changed) for i, leaf in enumerate(zero))
        moved, _ = prior(u)
        for i in range(3):
            assert bool(jnp.any(moved[i] != means[i])) == (i <= changed)


def test_sigma_and_mean_are_clamped():
    mean, std = clamped(jnp.array([100.0, 1.0]), jnp.array([-100.0, 100.0]), 0.01)
    np.testing.assert_allclose(mean, [5.0, 5 * np.tanh(0.2)], rtol=1e-6)
    np.testing.assert_allclose(std, np.exp([-5.0, 5.0]) + 0.01, rtol=1e-5)


def test_all_layers_reach_the_image(built):
    model, params = built
    z = latents(model)
    decode = jit_once(lambda z: model.decode(params, z))
    image = decode(z)
    assert image.shape == (BATCH, 8, 8, 1)
    for i in range(3):
        moved = decode(tuple(leaf + (j == i) for j, leaf in enumerate(z)))
        assert float(jnp.abs(moved - image).max()) > 1e-4


# The posterior


def test_posterior_is_a_residual_of_the_prior(built):
    """Heads of zero leave q(z_i|x, z_{>i}) = p(z_i|z_{>i}): KL 0, and z is T_β of the noise."""
    model, params = built
    inference = dict(params["inference"])
    for name in inference:
        if name.startswith("heads"):
            inference[name] = jax.tree.map(jnp.zeros_like, inference[name])
    params = {**params, "inference": inference}
    noise = latents(model)
    z, _ = jit_once(model.infer)(params, images(), noise)
    # The top group's posterior has the floor under its σ, N(0, (1 + 0.01)² I).
    expected, _ = jit_once(model.prior(params).to_z)((*noise[:-1], 1.01 * noise[-1]))
    for a, b in zip(z, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    _, kl, _ = jit_once(model.learn)(params, images(), noise)
    top = 8 * (0.5 * (1.01**2 - 1) - np.log(1.01))
    np.testing.assert_allclose(kl[2], top, rtol=1e-3)
    np.testing.assert_allclose(kl[:2], 0.0, atol=1e-5)


def test_log_q_is_that_of_every_groups_gaussian(built):
    """Σ_i log N(z_i; μ_i, σ_i²), with μ_i from the same draw but for ξ_i = 0."""
    model, params = built
    noise = latents(model)
    infer = jit_once(model.infer)
    z, log_q = infer(params, images(), noise)
    expected = 0.0
    for i in range(3):
        without = tuple(jnp.zeros_like(e) if j == i else e for j, e in enumerate(noise))
        mean, _ = infer(params, images(), without)
        for above in range(i + 1, 3):
            np.testing.assert_array_equal(mean[above], z[above])
        std = (z[i] - mean[i]) / noise[i]
        assert float(std.min()) > 0
        expected += stats.norm(mean[i], std).logpdf(z[i]).sum((1, 2, 3))
    np.testing.assert_allclose(log_q, expected, rtol=1e-3, atol=0.05)


def test_kl_is_in_closed_form_where_the_heads_are_constant(built):
    """Δμ and Δlog σ are biases: of the top group KL(N(μ, σ²) ‖ N(0, 1)), whatever the batch."""
    model, params = built
    heads = dict(params["inference"])
    for i in range(3):
        head = heads[f"heads_{i}"]
        bias = jnp.concatenate([jnp.full(2, 0.7), jnp.full(2, -0.4)])
        heads[f"heads_{i}"] = {"kernel": jnp.zeros_like(head["kernel"]), "bias": bias}
    _, kl, _ = jit_once(model.learn)({**params, "inference": heads}, images(), latents(model))
    mean, std = 5 * np.tanh(0.7 / 5), np.exp(5 * np.tanh(-0.4 / 5)) + 0.01
    expected = 8 * (0.5 * (mean**2 + std**2 - 1) - np.log(std))
    np.testing.assert_allclose(kl[2], expected, rtol=1e-4)
    assert float(kl[:2].min()) > 1.0  # the same shifts against priors of other widths


# Batch normalisation


def test_learning_uses_the_batch_and_moves_the_statistics(built):
    """By a tenth of the way to the batch's own; what is stored is used everywhere else."""
    model, params = built
    x, noise = images(), latents(model)
    raw, kl, moved = jit_once(model.learn)(params, x, noise)
    assert raw.shape == x.shape and kl.shape == (3, BATCH)
    assert jax.tree.structure(moved) == jax.tree.structure(params["statistics"])
    other = {**params, "statistics": jax.tree.map(lambda s: 2 * s, params["statistics"])}
    again, _, further = jit_once(model.learn)(other, x, noise)
    np.testing.assert_array_equal(raw, again)
    trees = params["statistics"], moved, further
    for before, a, b in zip(*map(jax.tree.leaves, trees), strict=True):
        np.testing.assert_allclose(b - a, 0.9 * before, rtol=1e-3, atol=1e-4)
    z, decode = latents(model, 1), jit_once(model.decode)
    assert float(jnp.abs(decode(params, z) - decode(other, z)).max()) > 1e-3


def test_recalibration_is_of_what_samples_of_the_prior_have_in_the_tower(built):
    """The first cell below the top group sees 1×1 convolutions of the constant and z_3 = noise_3;
    its statistics go a tenth of the way to the batch's, and the encoder's stay."""
    model, params = built
    noise = latents(model, seed=5)
    moved = jit_once(model.recalibrate)(params, noise)
    before = params["statistics"]
    for a, b in zip(*map(jax.tree.leaves, (before["encoder"], moved["encoder"])), strict=True):
        np.testing.assert_array_equal(a, b)
    tower = params["generator"]
    constant = np.broadcast_to(tower["constant"], (BATCH, *tower["constant"].shape))
    combine = jax.tree.map(np.asarray, tower["combine_2"])
    state = np.concatenate([constant, noise[-1]], axis=-1) @ combine["kernel"][0, 0]
    state = state + combine["bias"]
    doubled = np.asarray(jax.image.resize(state, (BATCH, 4, 4, state.shape[-1]), "bilinear"))
    (was, now) = (found["tower"]["between_1_0"]["norm_0"] for found in (before, moved))
    for name, batch in (("mean", doubled.mean((0, 1, 2))), ("var", doubled.var((0, 1, 2)))):
        np.testing.assert_allclose(now[name], 0.9 * was[name] + 0.1 * batch, rtol=1e-4, atol=1e-5)
    last = before["tower"], moved["tower"]
    assert all(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, last), strict=True))


def test_what_is_drawn_for_recalibration_is_a_sample_of_the_prior():
    """By stored statistics a draw from noise is the image of z = T_β(noise), group by group."""
    shape = dict(latent_channels=(2, 3, 2), scales=(2, 1), width=8, side=4, halvings=1)
    net = DeepVAE(Tower(**shape, out_channels=1), Encoder(**shape))
    rng = np.random.default_rng(0)
    sizes = ((4, 4, 2), (4, 4, 3), (2, 2, 2))
    noise = tuple(jnp.asarray(rng.normal(size=(BATCH, *size)), jnp.float32) for size in sizes)
    variables = noisy(jit_once(net.init)(jax.random.key(0), images(), noise))
    apply = functools.partial(net.apply, variables)
    state, z = apply(noise[2], method="start"), [noise[2]]
    for i in (1, 0):
        mean, std = apply(i, state, method="conditional")
        z.insert(0, mean + std * noise[i])
        state = apply(i, state, z[0], method="absorb")
    expected = apply(tuple(z), method="decode")
    drawn = apply(noise, method="draw")
    np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-4)
    assert float(jnp.abs(drawn - apply(noise, method="decode")).max()) > 1e-2


@pytest.mark.parametrize("cell, sides", [(EncoderCell, (4, 2)), (DecoderCell, (4, 8))])
def test_cells_are_a_skip_and_a_tenth_of_a_gated_body(cell, sides):
    x = jax.random.normal(jax.random.key(0), (2, 4, 4, 8))
    net = cell(8)
    params = net.init(jax.random.key(1), x)

    def gated(bias):
        """With a gate of sigmoid(bias) for all channels."""
        excite = {"kernel": jnp.zeros((4, 8)), "bias": jnp.full(8, bias)}
        return net.apply({**params, "params": {**params["params"], "excite": excite}}, x)

    closed, half, wide = (np.asarray(gated(bias)) for bias in (-100.0, 0.0, 100.0))
    np.testing.assert_array_equal(closed, x)
    np.testing.assert_allclose(wide - x, 2 * (half - x), atol=1e-5)
    np.testing.assert_allclose(wide - x, 0.1 * body_by_hand(cell, params["params"], x), atol=1e-4)
    changed = cell(6, sides[0] != sides[1])
    assert changed.init_with_output(jax.random.key(1), x)[0].shape == (2, sides[1], sides[1], 6)


def body_by_hand(cell, p, x):
    """With the statistics 0 and 1: each normalisation divides by √(1 + 1e-5)."""

    def normal(h):
        return h / np.sqrt(1 + 1e-5)

    def conv(name, h, groups=1):
        settings = dict(dimension_numbers=("NHWC", "HWIO", "NHWC"), feature_group_count=groups)
        kernel = p[name]["kernel"]
        return jax.lax.conv_general_dilated(h, kernel, (1, 1), "SAME", **settings)

    if cell is EncoderCell:
        assert p["conv_0"]["kernel"].shape == p["conv_1"]["kernel"].shape == (3, 3, 8, 8)
        h = conv("conv_0", jax.nn.silu(normal(x)))
        return conv("conv_1", jax.nn.silu(normal(h)))
    assert p["depthwise"]["kernel"].shape == (5, 5, 1, 48)
    h = conv("depthwise", jax.nn.silu(normal(conv("expand", normal(x)))), groups=48)
    return normal(conv("reduce", jax.nn.silu(normal(h))))


# Sizes


@pytest.mark.parametrize(
    "side, scales, latent_side, latent_channels, width",
    [(32, (30,), 16, 20, 128), (64, (5, 5, 5), 32, 20, 64), (256, (16, 8, 4, 4, 4), 128, 20, 30)],
    ids=["cifar10", "64 px", "256 px"],
)
def test_papers_sizes(side, scales, latent_side, latent_channels, width):
    """Groups from the finest scale to the coarsest, their maps' sides, and a full image."""
    c = small_config()
    c.data.image_size, c.data.channels = side, 3
    c.model.latent_sizes = (latent_channels,) * sum(scales)
    c.model.generator.update(scales=scales, latent_side=latent_side, hidden=(width,))
    c.model.inference.hidden = (width,)
    model = deep.build(c, 100, with_inference=True)
    sides = [latent_side >> s for s, groups in enumerate(scales) for _ in range(groups)]
    assert model.latent_shapes == tuple((s, s, latent_channels) for s in sides)
    params = jax.eval_shape(model.init, jax.random.key(0))
    z = tuple(jax.ShapeDtypeStruct((2, *shape), jnp.float32) for shape in model.latent_shapes)
    image = jax.eval_shape(model.decode, params, z)
    assert image.shape == (2, side, side, 100)
    x = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    found, log_q = jax.eval_shape(model.infer, params, x, z)
    assert [leaf.shape for leaf in found] == [leaf.shape for leaf in z] and log_q.shape == (2,)


def test_images_of_28_pixels_are_padded_to_32():
    c = small_config(**{"data.image_size": 28, "model.generator.latent_side": 8})
    model = deep.build(c, 1, with_inference=True)
    assert model.latent_shapes == ((8, 8, 2), (8, 8, 2), (4, 4, 2))
    params = jax.eval_shape(model.init, jax.random.key(0))
    z = tuple(jax.ShapeDtypeStruct((1, *shape), jnp.float32) for shape in model.latent_shapes)
    assert jax.eval_shape(model.decode, params, z).shape == (1, 28, 28, 1)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"model.generator.scales": (2, 2)}, r"scales is \(2, 2\), groups .* has 3 groups"),
        ({"model.generator.scales": (3, 0)}, r"scales is \(3, 0\), groups"),
        ({"model.generator.latent_side": 3}, "latent_side is 3; use 8 divided by a power of two"),
        ({"model.generator.latent_side": 2}, "latent_side is 2; use 8 .* at least 4 for 2 scales"),
        ({"model.inference.kind": "mlp"}, "model.inference has kind 'mlp' and hidden"),
        ({"model.generator.hidden": (8, 8)}, r"model.generator has kind 'nvae' and hidden \(8, 8"),
    ],
)
def test_sizes_that_do_not_fit(changes, message):
    with pytest.raises(ConfigError, match=message):
        deep.build(small_config(**changes), 1, with_inference=True)


def test_the_floor_of_sigma_is_the_configs():
    model = deep.build(
        small_config(**{"model.latent_sizes": (1, 1), "model.generator.scales": (1, 1)}),
        1,
        with_inference=True,
    )
    wide = deep.build(
        small_config(
            **{
                "model.latent_sizes": (1, 1),
                "model.generator.scales": (1, 1),
                "model.prior.sigma_floor": 0.51,
            }
        ),
        1,
        with_inference=True,
    )
    params = jit_once(model.init)(jax.random.key(0))
    zero = tuple(map(jnp.zeros_like, latents(model)))
    ones = (jnp.ones_like(zero[0]), zero[1])

    def std(m):
        to_z = m.prior(params).to_z
        return to_z(ones)[0][0] - to_z(zero)[0][0]

    np.testing.assert_allclose(std(wide) - std(model), 0.5, atol=1e-5)


def test_a_posterior_is_needed():
    with pytest.raises(ConfigError, match="learns with its inference net; set method.learning"):
        deep.build(small_config(), 1, with_inference=False)
