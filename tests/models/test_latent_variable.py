"""The latent variable model built from a config: groups, densities and dependence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from configs.base import get_config
from ebm_jax.errors import ConfigError
from ebm_jax.models import latent_variable

BATCH = 3


def small_config(**changes):
    """Three layers of different sizes and small nets; `changes` are dotted keys."""
    config = get_config()
    config.model.latent_sizes = (4, 3, 2)
    for net in ("generator", "prior", "inference"):
        config.model[net].hidden = (8,)
    config.model.inference.latent_hidden = (8,)
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    return config


def build(with_inference=True, **changes):
    """(model, random parameters of its shapes, biases too)."""
    model = latent_variable.build(small_config(**changes), 1, with_inference=with_inference)
    rng = np.random.default_rng(0)

    def draw(p):
        return (rng.normal(size=p.shape) / np.sqrt(p.shape[0])).astype(p.dtype)

    return model, jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0)))


def latents(seed=1, sizes=(4, 3, 2)):
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.normal(size=(BATCH, n)), jnp.float32) for n in sizes)


def images(seed=2):
    x = np.random.default_rng(seed).uniform(-1, 1, size=(BATCH, 8, 8, 1))
    return jnp.asarray(x, jnp.float32)


def conditional(model, params, i, z):
    """(mean, std) of layer i given those above: T_β of u_i = 0 and of u_i = 1."""
    u = model.prior(params).to_u(z)[0]

    def layer(value):
        return model.prior(params).to_z((*u[:i], jnp.full_like(u[i], value), *u[i + 1 :]))[0][i]

    return layer(0.0), layer(1.0) - layer(0.0)


def mlp(params, x):
    """One hidden layer, leaky ReLU 0.2, in numpy."""
    h = np.asarray(x).reshape(len(x), -1) @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"]
    h = np.where(h > 0, h, 0.2 * h)
    return h @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]


# Parameter groups


def test_all_groups_have_a_net_per_layer():
    model, params = build()
    assert set(params) == {"generator", "prior", "inference"}
    assert set(params["prior"]) == {"layer_1", "layer_2"}  # the top layer is N(0, I)
    assert set(params["inference"]) == {"layer_1", "layer_2", "layer_3"}
    assert model.has_inference
    assert model.latent_shapes == ((4,), (3,), (2,))


def test_groups_that_are_not_asked_for_are_absent():
    model, params = build(with_inference=False)
    assert set(params) == {"generator", "prior"}
    assert not model.has_inference


def test_one_layer_has_no_prior_net():
    model, params = build(**{"model.latent_sizes": (4,)})
    assert set(params) == {"generator", "inference"}
    z, _ = model.infer(params, images(), latents(sizes=(4,)))
    assert [a.shape for a in z] == [(BATCH, 4)]


def test_nets_do_not_share_their_initial_values():
    """Layers of equal sizes start from different kernels."""
    config = small_config(**{"model.latent_sizes": (4, 4, 4)})
    params = latent_variable.build(config, 1, with_inference=True).init(jax.random.key(0))
    kernels = [p for p in jax.tree.leaves(params) if p.ndim == 2]
    assert len({np.asarray(k).tobytes() for k in kernels}) == len(kernels)


# Functions


def test_the_conditional_is_of_the_layer_above_with_a_floor_under_sigma():
    """(μ, log σ) of the net; σ = exp(log σ) + 0.01."""
    model, params = build()
    z = latents()
    for i in (0, 1):
        mean, std = conditional(model, params, i, z)
        out = mlp(params["prior"][f"layer_{i + 1}"], z[i + 1])
        np.testing.assert_allclose(mean, out[:, : z[i].shape[1]], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(std, np.exp(out[:, z[i].shape[1] :]) + 0.01, rtol=1e-5)


def test_sigma_never_falls_below_its_floor():
    model, params = build(**{"model.prior.sigma_floor": 0.25})
    params["prior"]["layer_1"]["Dense_1"]["bias"] -= 100.0  # exp(log σ) = 0
    _, std = conditional(model, params, 0, latents())
    np.testing.assert_allclose(std, 0.25)


def test_inference_goes_bottom_up_and_its_log_q_is_scipys():
    model, params = build()
    x, noise = images(), latents(3)
    z, log_q = model.infer(params, x, noise)
    below, expected = x, 0.0
    for i in range(3):
        mean, log_std = np.split(mlp(params["inference"][f"layer_{i + 1}"], below), 2, axis=1)
        np.testing.assert_allclose(z[i], mean + np.exp(log_std) * noise[i], rtol=1e-4, atol=1e-5)
        expected = expected + stats.norm(mean, np.exp(log_std)).logpdf(z[i]).sum(1)
        below = z[i]
    np.testing.assert_allclose(log_q, expected, rtol=1e-4, atol=1e-4)


def test_without_noise_inference_gives_the_mean():
    """log q is then that of the peak, −Σ (log σ + log(2π)/2)."""
    model, params = build()
    z, log_q = model.infer(params, images(), jax.tree.map(jnp.zeros_like, latents()))
    below, peak = images(), 0.0
    for i in range(3):
        mean, log_std = np.split(mlp(params["inference"][f"layer_{i + 1}"], below), 2, axis=1)
        np.testing.assert_allclose(z[i], mean, rtol=1e-4, atol=1e-5)
        peak = peak - np.sum(log_std + 0.5 * np.log(2 * np.pi), axis=1)
        below = z[i]
    np.testing.assert_allclose(log_q, peak, rtol=1e-4)


def test_gradients_flow_through_the_reparameterised_latents():
    """∂z_1/∂(bias of μ) = 1, ∂z_1/∂(bias of log σ) = σ ξ, summed over the batch."""
    model, params = build()
    noise = latents(3)

    def total(params):
        return jnp.sum(model.infer(params, images(), noise)[0][0])

    grad = jax.grad(total)(params)["inference"]["layer_1"]["Dense_1"]["bias"]
    log_std = mlp(params["inference"]["layer_1"], images())[:, 4:]
    np.testing.assert_allclose(grad[:4], BATCH, rtol=1e-5)
    np.testing.assert_allclose(grad[4:], np.sum(np.exp(log_std) * noise[0], axis=0), rtol=1e-4)


@pytest.mark.parametrize(("inputs", "uses"), [("bottom", [1, 0, 0]), ("all", [1, 1, 1])])
def test_the_generator_reads_the_bottom_layer_or_all(inputs, uses):
    model, params = build(**{"model.generator.inputs": inputs})
    grads = jax.grad(lambda z: jnp.sum(model.decode(params, z) ** 2))(latents())
    assert [int(np.abs(g).max() > 0) for g in grads] == uses
    z = latents()
    read = np.concatenate(z, axis=1) if inputs == "all" else z[0]
    expected = mlp(params["generator"]["MLP_0"], read).reshape(BATCH, 8, 8, 1)
    np.testing.assert_allclose(model.decode(params, z), expected, rtol=1e-4, atol=1e-5)


def test_convolutional_nets_have_the_configs_sizes():
    config = small_config(
        **{
            "model.generator.kind": "conv",
            "model.generator.hidden": (6, 4),
            "model.inference.kind": "conv",
            "model.inference.hidden": (4, 6),
            "data.channels": 3,
        }
    )
    model = latent_variable.build(config, 5, with_inference=True)
    params = jax.eval_shape(model.init, jax.random.key(0))
    decoded = jax.eval_shape(model.decode, params, latents())
    assert decoded.shape == (BATCH, 8, 8, 5)
    x = jax.ShapeDtypeStruct((BATCH, 8, 8, 3), jnp.float32)
    z, log_q = jax.eval_shape(model.infer, params, x, latents())
    assert [a.shape for a in z] == [(BATCH, 4), (BATCH, 3), (BATCH, 2)]
    assert log_q.shape == (BATCH,)


def test_half_precision_nets_hand_out_float32():
    model, params = build(**{"compute_dtype": "bfloat16"})
    z, log_q = model.infer(params, images(), latents())
    results = (z, log_q, model.decode(params, z), model.prior(params).log_prob(z))
    assert {a.dtype for a in jax.tree.leaves((params, results))} == {jnp.dtype("float32")}


# What does not fit together


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.generator.kind": "unet"}, "model.generator.kind is 'unet'; use 'mlp' or 'conv'."),
        ({"model.inference.kind": "unet"}, "model.inference.kind is 'unet'; use 'mlp' or 'conv'."),
        (
            {"model.generator.inputs": "top"},
            "model.generator.inputs is 'top'; use 'bottom' or 'all'.",
        ),
        (
            {"model.generator.kind": "conv", "model.generator.hidden": (8, 8, 8, 8, 8)},
            "model.generator.hidden has 5 widths, which needs data.image_size to be a multiple of "
            "16, but it is 8; change one of the two.",
        ),
        (
            {
                "model.inference.kind": "conv",
                "model.inference.hidden": (8, 8),
                "data.image_size": 7,
            },
            "model.inference.hidden has 2 widths, which needs data.image_size to be a multiple of "
            "2, but it is 7; change one of the two.",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_sentence(changes, message):
    with pytest.raises(ConfigError) as caught:
        latent_variable.build(small_config(**changes), 1, with_inference=True)
    assert str(caught.value) == message
