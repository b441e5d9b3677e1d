"""Noise: the generator's published vectors, the law of the normals, their independence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from ebm_jax.samplers.noise import fold_in, normal_like, threefry_2x32, uniform


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


@pytest.mark.parametrize(
    "key, counter, words",
    [  # known answers of the Random123 library, 20 rounds
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_threefry_has_its_published_answers(key, counter, words):
    counter = np.asarray(counter, np.uint32)
    assert tuple(map(int, threefry_2x32(jnp.asarray(key, jnp.uint32), *counter))) == words


@pytest.mark.parametrize("number", [0, 1, 2**31 - 1])
def test_fold_in_is_that_of_jax(number):
    expected = jax.vmap(jax.random.fold_in, (0, None))(keys(5), number)
    found = jax.jit(fold_in)(keys(5), number)
    np.testing.assert_array_equal(jax.random.key_data(found), jax.random.key_data(expected))


@pytest.fixture(scope="module")
def normals():
    """[1000 examples, 501]: an odd size, so that the last sine is dropped."""
    return np.asarray(jax.jit(normal_like)(keys(1000), jnp.zeros((1000, 501))), np.float64)


def test_normals_have_the_standard_normal_law(normals):
    """Kolmogorov–Smirnov, the first moments, and tails as long as 5e5 draws should have."""
    assert stats.kstest(normals.ravel(), "norm").pvalue > 1e-3
    count = normals.size
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        error = np.mean(normals**power) - expected
        assert abs(error) < 4 * np.sqrt(variance / count), f"moment {power}"
    beyond = np.sum(np.abs(normals) > 3.5)
    expected = count * 2 * stats.norm.sf(3.5)
    assert abs(beyond - expected) < 4 * np.sqrt(expected)


def test_normals_are_uncorrelated(normals):
    """Neighbours within an example, neighbouring examples, and the two halves of a pair."""
    half = -(-normals.shape[1] // 2)
    pairs = normals[:, : normals.shape[1] - half], normals[:, half:]
    for a, b in (
        (normals[:, 1:], normals[:, :-1]),
        (normals[1:], normals[:-1]),
        pairs,
        (pairs[0] ** 2 - 1, pairs[1] ** 2 - 1),
    ):
        product = a * b
        assert abs(product.mean()) < 4 * product.std() / np.sqrt(product.size)


def test_every_angle_gives_a_point_of_the_unit_circle(normals):
    """r² of a pair is χ² with two degrees, its angle uniform: cosine and sine belong together."""
    half = -(-normals.shape[1] // 2)
    cosine, sine = normals[:, : normals.shape[1] - half], normals[:, half:]
    angles = np.arctan2(sine, cosine).ravel() / (2 * np.pi) + 0.5
    assert stats.kstest(angles, "uniform").pvalue > 1e-3
    assert stats.kstest((cosine**2 + sine**2).ravel(), stats.chi2(2).cdf).pvalue > 1e-3


def test_each_leaf_and_example_has_its_own_stream():
    tree = {"a": jnp.zeros((2, 3)), "b": jnp.zeros((2, 3))}
    noise = normal_like(keys(2), tree)
    assert len(np.unique(np.concatenate([np.ravel(x) for x in noise.values()]))) == 12
    alone = normal_like(keys(2)[1:], jax.tree.map(lambda x: x[1:], tree))
    jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda x: x[1:], noise), alone)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_leaves_keep_shape_and_dtype(dtype):
    leaf = jnp.zeros((3, 2, 2, 5), dtype)
    drawn = normal_like(keys(3), leaf)
    assert drawn.shape == leaf.shape and drawn.dtype == dtype


def test_uniforms_are_uniform_and_independent_of_the_normals():
    many = keys(20_000)
    drawn = np.asarray(uniform(many))
    assert drawn.min() > 0 and drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    normal = np.asarray(normal_like(many, jnp.zeros((20_000, 1))))[:, 0]
    assert abs(np.corrcoef(drawn, normal)[0, 1]) < 4 / np.sqrt(20_000)


def test_keys_of_another_generator_are_refused():
    with pytest.raises(ValueError, match="'rbg'.*threefry2x32"):
        normal_like(jax.random.split(jax.random.key(0, impl="rbg"), 2), jnp.zeros((2, 3)))


def test_normals_are_box_and_mullers_of_the_words():
    """To float32's rounding: r = √(−2 log u), angle = (quadrant + place) · π/2."""
    count = 4000
    words = jax.random.key_data(keys(1))[:, None]
    counter = jnp.arange(count, dtype=jnp.uint32)[None]
    first, second = (np.asarray(w, np.uint64) for w in threefry_2x32(words, counter, 0 * counter))
    radius = np.sqrt(-2 * np.log(((first >> 8) + 0.5) / 2**24))
    place = ((second & (2**30 - 1)) >> 6) / 2**24 - 0.5
    angle = ((second >> 30) + place) * np.pi / 2
    expected = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    found = normal_like(keys(1), jnp.zeros((1, 2 * count)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)
