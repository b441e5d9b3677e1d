"""Likelihoods against scipy, exact enumeration and finite differences."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from ml_collections import ConfigDict
from scipy import special, stats

from ebm_jax.densities import likelihoods
from ebm_jax.errors import ConfigError

RNG = np.random.default_rng(0)
SHAPE = (3, 4, 5, 2)  # [B, H, W, C]
RAW = RNG.normal(size=SHAPE).astype(np.float32)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def broadcast(raw, batch):
    """One pixel's raw parameters for every example: [R] → [batch, 1, 1, R]."""
    raw = jnp.asarray(raw)
    return jnp.broadcast_to(raw, (batch, 1, 1, raw.size))


# Gaussian


def test_gaussian_is_scipys_around_tanh():
    x = RNG.uniform(-1, 1, size=SHAPE).astype(np.float32)
    expected = stats.norm(np.tanh(RAW), 0.3).logpdf(x).sum((1, 2, 3))
    model = likelihoods.gaussian(0.3)
    np.testing.assert_allclose(model.log_prob(RAW, x), expected, rtol=1e-5)
    np.testing.assert_allclose(model.mean(RAW), np.tanh(RAW), rtol=1e-6)
    assert model.num_outputs(3) == 3


def test_gaussian_samples_have_mean_and_sigma_and_stay_in_range():
    model = likelihoods.gaussian(0.1)
    x = model.sample(keys(20_000), broadcast([0.5, 10.0], 20_000))  # tanh(10) = 1: half clipped
    assert abs(x[..., 0].mean() - np.tanh(0.5)) < 5 * 0.1 / np.sqrt(20_000)
    assert abs(x[..., 0].std() - 0.1) < 0.003
    assert x.max() == 1.0 and np.mean(x[..., 1] == 1.0) > 0.45


# Bernoulli


def test_bernoulli_probabilities_sum_to_one_and_have_the_logit():
    """p(on) = 1 / (1 + e^−raw)."""
    logits = jnp.array([-8.0, -1.0, 0.0, 0.3, 5.0]).reshape(5, 1, 1, 1)
    log_prob = likelihoods.bernoulli().log_prob
    on, off = (np.exp(log_prob(logits, jnp.full((5, 1, 1, 1), v))) for v in (1.0, -1.0))
    np.testing.assert_allclose(on, special.expit(logits[:, 0, 0, 0]), rtol=1e-5)
    np.testing.assert_allclose(on + off, 1.0, rtol=1e-6)


def test_bernoulli_sums_over_pixels_and_takes_grey_as_probabilities():
    x = RNG.uniform(-1, 1, size=SHAPE)
    p, on = special.expit(RAW), (x + 1) / 2
    expected = (on * np.log(p) + (1 - on) * np.log1p(-p)).sum((1, 2, 3))
    got = likelihoods.bernoulli().log_prob(RAW, x.astype(np.float32))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_bernoulli_samples_are_plus_minus_one_around_the_mean():
    model, n = likelihoods.bernoulli(), 20_000
    raw = broadcast([-2.0, 0.5], n)
    x = np.asarray(model.sample(keys(n), raw))
    assert set(np.unique(x)) == {-1.0, 1.0}
    mean = np.asarray(model.mean(raw))[0]
    np.testing.assert_allclose(mean, 2 * special.expit([[[-2.0, 0.5]]]) - 1, rtol=1e-5)
    np.testing.assert_allclose(x.mean(0), mean, atol=5 / np.sqrt(n))


# Discretised mixture of logistics


def grid(levels):
    return -1 + 2 * np.arange(levels) / (levels - 1)


def all_images(levels, channels):
    """Every one-pixel image: [levels^C, 1, 1, C]."""
    values = list(itertools.product(grid(levels), repeat=channels))
    return np.array(values, np.float32).reshape(-1, 1, 1, channels)


def probabilities(raw, mixtures, channels, levels):
    x = all_images(levels, channels)
    model = likelihoods.logistic_mixture(mixtures, channels, levels)
    return np.exp(np.float64(jax.jit(model.log_prob)(broadcast(np.float32(raw), len(x)), x)))


def pack(logits, means, log_scales, coefficients=None):
    """Raw parameters of one pixel from [M], [M, C], [M, C], [M, C(C−1)/2] (before the tanh)."""
    mixtures = len(logits)
    parts = [np.reshape(logits, (mixtures, 1)), means, log_scales]
    parts += [] if coefficients is None else [coefficients]
    return np.concatenate([np.reshape(p, (mixtures, -1)) for p in parts], axis=1).ravel()


def exact_log_mass(x, mean, scale, levels):
    """log of the logistic's mass in x's bin in float64; the edge bins reach to infinity.

    σ(b) − σ(a) = σ(b) σ(−a) (1 − e^{a−b}), which never underflows.
    """
    half = 1 / (levels - 1)
    upper, lower = (x + half - mean) / scale, (x - half - mean) / scale
    inside = special.log_expit(upper) + special.log_expit(-lower)
    inside = inside + np.log(-np.expm1(lower - upper))
    edges = np.where(x < -1 + half, special.log_expit(upper), special.log_expit(-lower))
    return np.where(np.abs(x) > 1 - half, edges, inside)


@pytest.mark.parametrize(("mixtures", "channels", "levels"), [(3, 1, 256), (2, 2, 6), (2, 3, 4)])
@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_logistic_probabilities_of_all_images_sum_to_one(mixtures, channels, levels, spread):
    size = likelihoods.logistic_mixture(mixtures, channels, levels).num_outputs(channels)
    for seed in range(3):
        raw = spread * np.random.default_rng(seed).normal(size=size)
        total = probabilities(raw, mixtures, channels, levels).sum()
        np.testing.assert_allclose(total, 1.0, rtol=1e-5)


@pytest.mark.parametrize("log_scale", [-7.0, -4.0, -1.0, 2.0])
def test_logistic_log_masses_are_exact_far_into_the_tails(log_scale):
    """One logistic at 0.1; bins down to log p = −2000 for the narrowest scale."""
    x = all_images(256, 1)
    raw = broadcast(np.float32(pack([0.0], [0.1], [log_scale])), 256)
    got = jax.jit(likelihoods.logistic_mixture(1, 1).log_prob)(raw, x)
    expected = exact_log_mass(np.float64(x[:, 0, 0, 0]), np.float32(0.1), np.exp(log_scale), 256)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-3)


def test_logistic_scales_have_a_floor():
    x = all_images(256, 1)
    floor, below = (broadcast(np.float32(pack([0.0], [0.1], [s])), 256) for s in (-7.0, -20.0))
    log_prob = jax.jit(likelihoods.logistic_mixture(1, 1).log_prob)
    np.testing.assert_array_equal(log_prob(floor, x), log_prob(below, x))


def test_logistic_channels_and_mixtures_combine_as_defined():
    """p(x) = Σ_m π_m Π_c p_mc(x_c), m_2 += a_1 x_1, m_3 += a_2 x_1 + a_3 x_2, a = tanh(raw)."""
    levels, rng = 4, np.random.default_rng(1)
    logits, means, log_scales, coefficients = (
        rng.normal(size=s) for s in ((2,), (2, 3), (2, 3), (2, 3))
    )
    x = np.float64(all_images(levels, 3)[:, 0, 0])
    expected = 0.0
    for m, weight in enumerate(special.softmax(logits)):
        a = np.tanh(coefficients[m])
        centres = [
            means[m, 0] + 0 * x[:, 0],
            means[m, 1] + a[0] * x[:, 0],
            means[m, 2] + a[1] * x[:, 0] + a[2] * x[:, 1],
        ]
        log_mass = sum(
            exact_log_mass(x[:, c], centres[c], np.exp(log_scales[m, c]), levels) for c in range(3)
        )
        expected = expected + weight * np.exp(log_mass)
    got = probabilities(pack(logits, means, log_scales, coefficients), 2, 3, levels)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_logistic_sums_over_pixels():
    model, rng = likelihoods.logistic_mixture(2, 1, 6), np.random.default_rng(2)
    raw = rng.normal(size=(2, 3, 4, model.num_outputs(1))).astype(np.float32)
    x = rng.choice(grid(6), size=(2, 3, 4, 1)).astype(np.float32)
    log_prob = jax.jit(model.log_prob)
    pixels = log_prob(raw.reshape(24, 1, 1, -1), x.reshape(24, 1, 1, 1))
    expected = np.asarray(pixels).reshape(2, -1).sum(1)
    np.testing.assert_allclose(log_prob(raw, x), expected, rtol=1e-5)


def test_logistic_mean_is_the_enumerated_expectation():
    """Two channels, all 64² values; scales 0.05 at |centre| < 0.5, so the edges hold nothing."""
    raw = pack([0.4, -0.3], [[0.3, -0.2], [-0.25, 0.1]], np.full((2, 2), -3.0), [[0.8], [-0.5]])
    expected = probabilities(raw, 2, 2, 64) @ all_images(64, 2)[:, 0, 0]
    got = likelihoods.logistic_mixture(2, 2, 64).mean(broadcast(np.float32(raw), 1))
    np.testing.assert_allclose(got[0, 0, 0], expected, atol=1e-4)


def test_logistic_samples_follow_the_probabilities():
    """Pearson's χ² over the 6² images of two dependent channels, two mixtures."""
    n, levels = 8000, 6
    raw = pack([0.5, -0.5], [[0.4, -0.3], [-0.5, 0.6]], np.full((2, 2), -1.2), [[1.5], [-1.0]])
    model = likelihoods.logistic_mixture(2, 2, levels)
    x = np.asarray(jax.jit(model.sample)(keys(n, seed=1), broadcast(np.float32(raw), n)))
    values = (x[:, 0, 0] + 1) * (levels - 1) / 2
    np.testing.assert_allclose(values, np.round(values), atol=1e-5)  # on the grid
    cells = np.round(values).astype(int)
    counts = np.bincount(cells[:, 0] * levels + cells[:, 1], minlength=levels**2)
    expected = n * probabilities(raw, 2, 2, levels)
    assert expected.min() > 5
    assert stats.chisquare(counts, expected * n / expected.sum()).pvalue > 1e-3


def test_logistic_samples_do_not_depend_on_the_batch():
    model = likelihoods.logistic_mixture(2, 3)
    raw = np.random.default_rng(3).normal(size=(4, 2, 2, model.num_outputs(3)))
    raw = jnp.asarray(raw, jnp.float32)
    sample = jax.jit(model.sample)
    batch = sample(keys(4), raw)
    np.testing.assert_array_equal(batch[2:3], sample(keys(4)[2:3], raw[2:3]))
    assert np.abs(batch).max() <= 1.0


@pytest.mark.parametrize("size", [10.0, 100.0, 1e4])
def test_logistic_gradients_stay_finite_for_extreme_parameters(size):
    """Huge and tiny scales, far means, saturated coefficients; x inside and at both edges."""
    model = likelihoods.logistic_mixture(2, 3)
    rng = np.random.default_rng(4)
    raw = jnp.asarray(size * rng.choice([-1.0, 0.0, 1.0], size=(200, 1, 1, 20)), jnp.float32)
    x = jnp.asarray(rng.choice([-1.0, 1 / 255, 1.0], size=(200, 1, 1, 3)), jnp.float32)
    value, grad = jax.jit(jax.value_and_grad(lambda r: model.log_prob(r, x).sum()))(raw)
    assert raw.shape[-1] == model.num_outputs(3)
    assert np.isfinite(value) and np.isfinite(grad).all()


@pytest.mark.parametrize("log_scale", [-6.0, -3.0, 0.0])
def test_logistic_gradients_are_finite_differences(log_scale):
    """In float64, for narrow and wide scales, at inner values and at both edges."""
    rng = np.random.default_rng(5)
    with jax.enable_x64(True):
        x = jnp.asarray(rng.choice(grid(256)[[0, 1, 128, 255]], size=(2, 2, 2, 2)))
        shape = (2, 2, 2, 2)  # [B, H, W, M]
        logits = rng.normal(size=(*shape, 1))
        means = 0.3 * rng.normal(size=(*shape, 2))
        log_scales = log_scale + 0.3 * rng.normal(size=(*shape, 2))
        coefficients = rng.normal(size=(*shape, 1))
        raw = np.concatenate([logits, means, log_scales, coefficients], -1).reshape(2, 2, 2, -1)
        log_prob = likelihoods.logistic_mixture(2, 2).log_prob
        check_grads(
            jax.jit(lambda r: log_prob(r, x)), (jnp.asarray(raw),), 1, modes=["rev"], rtol=1e-5
        )


# From a config


def test_build_makes_each_kind():
    config = ConfigDict(dict(kind="gaussian", sigma=0.5, mixtures=4))
    np.testing.assert_allclose(
        likelihoods.build(config, 2).log_prob(RAW, RAW),
        likelihoods.gaussian(0.5).log_prob(RAW, RAW),
    )
    config.kind = "bernoulli"
    np.testing.assert_array_equal(likelihoods.build(config, 2).mean(RAW * 0), RAW * 0)
    config.kind = "logistic_mixture"
    # 4 mixtures of 1 logit, 3 means, 3 log scales and 3 coefficients
    assert likelihoods.build(config, 3).num_outputs(3) == 40


def test_build_names_an_unknown_kind():
    with pytest.raises(ConfigError, match="kind is 'laplace'; use gaussian, bernoulli or"):
        likelihoods.build(ConfigDict(dict(kind="laplace")), 1)
