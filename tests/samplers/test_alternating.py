"""The order of the moves, their clips and their noise, step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.samplers import Move, alternating
from ebm_jax.samplers.noise import fold_in, normal_like

START = {"a": jnp.array([[1.0, 2.0], [0.5, -1.0]]), "b": jnp.array([[0.3], [-0.2]])}
KEYS = jax.random.split(jax.random.key(0), 2)


def log_prob(position):
    a, b = position["a"], position["b"]
    return -0.5 * jnp.sum((a * b) ** 2, axis=1)


def step(moves, **options):
    kernel = alternating(log_prob, moves, **options)
    state, info = jax.jit(kernel.step)(KEYS, kernel.init(START))
    return state.position, info


def by_hand(order, sizes, noise):
    """The update's formula, with the newest values."""
    position = {part: np.asarray(value, np.float64) for part, value in START.items()}
    for part in order:
        a, b = position["a"], position["b"]
        gradient = -a * b**2 if part == "a" else -np.sum(a**2, axis=1, keepdims=True) * b
        drift = sizes[part] ** 2 / 2
        position[part] = position[part] + drift * gradient + sizes[part] * noise[part]
    return position


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_later_moves_see_the_new_values(order):
    sizes = {"a": 0.7, "b": 0.9}
    found, _ = step([Move(part, sizes[part]) for part in order])
    noise = {
        part: np.asarray(normal_like(fold_in(KEYS, number), START[part]))
        for number, part in enumerate(order)
    }
    for part, value in by_hand(order, sizes, noise).items():
        np.testing.assert_allclose(found[part], value, rtol=1e-5)
    other = by_hand(order[::-1], sizes, noise)
    assert max(abs(found[part] - other[part]).max() for part in "ab") > 0.01


def test_clip_bounds_the_scaled_gradient_of_its_part_alone():
    free, _ = step([Move("a", 1.0), Move("b", 2.0)], noise_scale=0.0)
    clipped, info = step([Move("a", 1.0), Move("b", 2.0, clip=0.01)], noise_scale=0.0)
    np.testing.assert_array_equal(clipped["a"], free["a"])
    moved = np.linalg.norm(clipped["b"] - START["b"], axis=1)
    np.testing.assert_allclose(moved, 0.01, rtol=1e-4)
    assert (np.linalg.norm(free["b"] - START["b"], axis=1) > 0.1).all()
    length = np.sqrt(np.sum((clipped["a"] - START["a"]) ** 2, axis=1) + 0.01**2)
    np.testing.assert_allclose(info.displacement, length, rtol=1e-4)


@pytest.mark.parametrize("moves", [[], [Move("a", 0.1), Move("a", 0.2)]])
def test_moves_are_named_once(moves):
    with pytest.raises(ValueError, match="each once"):
        alternating(log_prob, moves)
