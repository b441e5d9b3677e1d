"""Learning rates by phase and epoch, and the order clip → L2 → Adam."""

import jax.numpy as jnp
import numpy as np
import pytest

from configs.base import network_optimiser
from ebm_jax.errors import ConfigError
from ebm_jax.methods.optimisers import group_optimiser, learning_rate


def config(**settings):
    c = network_optimiser(0.1)
    c.update(settings)
    return c


def test_two_phases():
    rate = learning_rate(config(joint_learning_rate=0.01), 10, None, 4)
    assert [float(rate(s)) for s in (0, 9, 10)] == pytest.approx([0.1, 0.1, 0.01])


def test_without_a_joint_rate_there_is_one_phase():
    rate = learning_rate(config(), 10, None, 4)
    assert [float(rate(s)) for s in (0, 10)] == pytest.approx([0.1, 0.1])


def test_nothing_moves_before_the_first_step():
    optimiser = group_optimiser(config(), lambda step: 1.0, first_step=3)
    params, grads = {"w": jnp.zeros(1)}, {"w": jnp.ones(1)}
    state = optimiser.init(params)
    for step in range(3):
        params, state = optimiser.update(grads, state, params, jnp.int32(step))
        assert float(params["w"][0]) == 0.0
    params, _ = optimiser.update(grads, state, params, jnp.int32(3))
    assert float(params["w"][0]) == pytest.approx(-1.0, abs=1e-5)  # Adam's first step


def test_decay_per_epoch_counts_steps_of_the_data_set():
    rate = learning_rate(config(decay_per_epoch=0.5), 0, 100, 10)  # 10 steps an epoch
    assert [float(rate(s)) for s in (0, 9, 10, 25)] == pytest.approx([0.1, 0.1, 0.05, 0.025])


def test_decay_without_a_data_set_is_a_sentence():
    with pytest.raises(ConfigError, match="data set's size"):
        learning_rate(config(decay_per_epoch=0.998), 0, None, 10)


def first_step(c, grad, param):
    optimiser = group_optimiser(c, lambda step: 1.0)
    params = {"w": jnp.asarray(param)}
    new, state = optimiser.update(
        {"w": jnp.asarray(grad)}, optimiser.init(params), params, jnp.int32(0)
    )
    return np.asarray(new["w"]), state


def test_l2_is_added_before_adam_not_decoupled():
    """Gradient 0, parameter 3: Adam's first step is the gradient's sign, whatever the L2's size."""
    new, _ = first_step(config(l2=1e-3), [0.0], [3.0])
    assert new == pytest.approx([2.0], abs=1e-4)


def test_the_clip_comes_before_l2():
    """‖g‖ = 5 is clipped to 1; the L2 term is added to the clipped gradient (0.6 + 3·0.2)."""
    _, state = first_step(config(clip_norm=1.0, l2=0.2), [3.0, 4.0], [3.0, 0.0])
    mean = next(s.mu for s in state if hasattr(s, "mu"))["w"]
    assert np.asarray(mean) == pytest.approx([0.1 * 1.2, 0.1 * 0.8], abs=1e-6)


def test_factor_scales_the_step():
    optimiser = group_optimiser(config(), lambda step: 1.0)
    params = {"w": jnp.ones(1)}
    grads = {"w": jnp.ones(1)}
    new, _ = optimiser.update(grads, optimiser.init(params), params, jnp.int32(0), 0.25)
    assert float(new["w"][0]) == pytest.approx(0.75, abs=1e-5)


def test_linear_decay_ends_at_zero():
    rate = learning_rate(config(learning_rate=0.5, linear_decay_steps=100), 0, 100, 10)
    assert [float(rate(step)) for step in (0, 50, 75, 100, 120)] == [0.5, 0.25, 0.125, 0.0, 0.0]


def test_rising_and_cosine_decay():
    settings = dict(rising_steps=10, cosine_decay_steps=100, final_learning_rate=0.02)
    rate = learning_rate(config(**settings), 0, 100, 10)
    assert float(rate(0)) == pytest.approx(0.01, rel=1e-2)  # a tenth
    assert float(rate(50)) == pytest.approx(0.06)  # half-way
    assert [float(rate(s)) for s in (100, 200)] == pytest.approx([0.02, 0.02])


def test_adamax_divides_by_the_largest_gradient():
    """The first step is the sign of the gradient; then one a tenth as large moves by its mean."""
    optimiser = group_optimiser(config(algorithm="adamax"), lambda step: 1.0)
    params = {"w": jnp.zeros(1)}
    state = optimiser.init(params)
    new, state = optimiser.update({"w": jnp.full(1, 2.0)}, state, params, jnp.int32(0))
    assert float(new["w"][0]) == pytest.approx(-1.0, abs=1e-5)
    again, _ = optimiser.update({"w": jnp.full(1, 0.2)}, state, new, jnp.int32(1))
    mean = (0.9 * 0.1 * 2.0 + 0.1 * 0.2) / (1 - 0.9**2)
    assert float(again["w"][0] - new["w"][0]) == pytest.approx(-mean / (0.999 * 2.0), rel=1e-4)
