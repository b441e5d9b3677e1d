"""Task `interpolation`: ways along great circles, and how even they are."""

import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import interpolation
from ebm_jax.evaluation.interpolation import spherical
from ebm_jax.methods.base import LatentMaps
from tests.evaluation.untrained import context_of


def test_a_quarter_of_a_circle():
    way = spherical(np.array([[2.0, 0.0]]), np.array([[0.0, 4.0]]))[0]
    angles = np.linspace(0, np.pi / 2, 9)
    radius = np.linspace(2, 4, 9)
    expected = radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    np.testing.assert_allclose(way, expected, atol=1e-6)


@pytest.mark.parametrize("end", [[3.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_ends_on_one_line_are_joined_straight(end):
    way = spherical(np.array([[1.0, 0.0]]), np.array([end]))[0]
    assert np.isfinite(way).all()
    np.testing.assert_allclose(way[0], [1, 0], atol=1e-6)
    np.testing.assert_allclose(way[-1], end, atol=1e-6)
    assert (way[:, 1] == 0).all()


def test_typical_ends_have_typical_points_between():
    start, end = np.random.default_rng(0).normal(size=(2, 200, 64))
    norms = np.linalg.norm(spherical(start, end), axis=2)
    assert abs(norms[:, 4].mean() - 8) < 0.2  # a straight line's middle has 5.7


def test_evenness_is_that_of_the_images(tmp_path):
    """An image that jumps in one of the eight steps has a largest step of 8, an even one of 1."""
    context = context_of(tmp_path / "eval", batch_size=50)

    def posterior(state, images, key, index):
        first = (jnp.arange(len(images)) + index[0] < 100).astype(jnp.float32)
        return (jnp.stack([first, 1 - first], axis=1),)  # from (1, 0) to (0, 1)

    def method(pixel):
        def decode(state, z):
            angle = jnp.arctan2(z[0][:, 1], z[0][:, 0]) / (jnp.pi / 2)
            return jnp.broadcast_to(pixel(angle)[:, None, None, None], (len(angle), 8, 8, 1))

        identity = lambda state, latents: latents  # noqa: E731
        maps = LatentMaps(decode, identity, identity)
        return context._replace(method=context.method._replace(posterior=posterior, maps=maps))

    even = interpolation.run(method(lambda a: a))
    assert even["results"]["interpolation"] == pytest.approx(1.0, abs=1e-3)
    jump = interpolation.run(method(lambda a: (a > 0.55).astype(jnp.float32)))
    assert jump["results"]["interpolation"] == pytest.approx(8.0, rel=1e-6)
    assert jump["num_samples"] == 100
    assert (context.folder / "interpolation.png").stat().st_size > 0


def test_method_without_layers(tmp_path):
    context = context_of(tmp_path / "eval")
    with pytest.raises(ConfigError, match="leave 'interpolation' out"):
        interpolation.run(context._replace(method=context.method._replace(maps=None)))
