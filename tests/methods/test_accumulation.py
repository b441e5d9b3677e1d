"""Accumulated gradients are those of the whole batch, in less memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax import methods
from ebm_jax.methods.accumulation import in_parts
from ebm_jax.training_step import init_loop_state
from tests.test_train import tiny_config

WEIGHTS = jax.random.normal(jax.random.key(0), (256, 256)) / 16


def gradient(batch):
    def loss(weights):
        h = batch["x"]
        for _ in range(4):
            h = jnp.tanh(h @ weights)
        return jnp.mean(h**2)

    return jax.grad(loss)(WEIGHTS)


def test_mean_of_the_parts_is_the_whole():
    batch = {"x": jax.random.normal(jax.random.key(1), (12, 256))}
    whole = gradient(batch)
    for parts in (1, 2, 3, 12):
        np.testing.assert_allclose(in_parts(gradient, batch, parts), whole, rtol=1e-4, atol=1e-7)


def test_memory_is_that_of_a_part():
    batch = {"x": jnp.zeros((4096, 256))}

    def temporaries(parts):
        compiled = jax.jit(lambda b: in_parts(gradient, b, parts)).lower(batch).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporaries(8) < 0.5 * temporaries(1)


def test_uneven_parts_are_refused():
    with pytest.raises(ValueError, match="batch of 12 does not split into 5 parts"):
        in_parts(gradient, {"x": jnp.zeros((12, 256))}, 5)


@pytest.mark.parametrize("learning", ["variational", "mcmc"])
def test_joint_update_in_parts(learning):
    """SGD, so that a factor on the gradient would show."""
    results = []
    for parts in (1, 4):
        config = tiny_config()
        config.method.learning = learning
        config.eval.posterior = "langevin" if learning == "mcmc" else "inference"
        config.model.energy.zero_init = False
        config.train.warmup_steps = 0
        config.train.accumulate = parts
        for group in ("generator", "inference", "prior", "energy"):
            config.optim[group].algorithm = "sgd"
        method = methods.build(config)
        images = jax.random.uniform(jax.random.key(2), (8, 8, 8, 1), minval=-1)
        batch = {"image": images, "index": jnp.arange(8)}
        state = init_loop_state(method, batch, jax.random.key(0)).train
        results.append(jax.jit(method.update)(state, batch, jax.random.key(1)))
    (one, one_metrics), (four, four_metrics) = results
    close = dict(rtol=1e-4, atol=1e-6)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **close), one.params, four.params)
    for name in ("loss/total", "energy/positive", "prior/energy", "grad_norm/generator"):
        np.testing.assert_allclose(one_metrics[name], four_metrics[name], rtol=1e-3, atol=1e-5)
