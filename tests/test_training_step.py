"""The guarded step: what a bad update changes, the moving average, the accumulators, the keys.

Also the toy method of the loop's tests: one parameter vector, plain SGD on noise and data.
"""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from ebm_jax import randomness, training_step
from ebm_jax.errors import ConfigError
from ebm_jax.methods import InferenceState, Method, Samples, TrainState
from ebm_jax.training_step import build_step, empty_metrics, init_loop_state

STABILITY = ml_collections.ConfigDict(dict(max_grad_norm=1e3, max_energy=50.0))
BATCH = {
    "image": np.linspace(-1, 1, 4 * 8 * 8, dtype=np.float32).reshape(4, 8, 8, 1),
    "label": np.zeros(4, np.int32),
    "index": np.arange(4, dtype=np.int32),
}


def toy_method(axis_name=None, spoil=lambda state, metrics: metrics, width=3):
    """SGD on a vector whose gradient is the mean over examples of image × noise.

    Args:
      axis_name: averaged over, as in a real method.
      spoil: (state, metrics) → metrics, to make an update look bad.
      width: of the vector.
    """
    zero = jnp.zeros((), jnp.int32)

    def init(key, batch):
        params = {"net": {"w": jax.random.normal(key, (width,))}}
        opt_state = {"net": jnp.zeros((width,))}
        return TrainState(zero, params, opt_state, params, {"seen": zero}, zero, zero, zero)

    def update(state, batch, key):
        keys = randomness.per_example(key, batch["index"])
        noise = jax.vmap(lambda k: jax.random.normal(k, (width,)))(keys)  # [B, 3]
        gradient = jnp.mean(batch["image"].mean((1, 2, 3))[:, None] * noise, axis=0)
        loss = jnp.mean(noise)
        if axis_name:
            gradient, loss = jax.lax.pmean((gradient, loss), axis_name)
        momentum = 0.5 * state.opt_state["net"] + gradient
        params = {"net": {"w": state.params["net"]["w"] - 0.1 * momentum}}
        metrics = {
            "loss/total": loss,
            "grad_norm/net": jnp.linalg.norm(gradient),
            "energy/positive": loss,
        }
        extra = {"seen": state.extra["seen"] + 1}
        new = state._replace(params=params, opt_state={"net": momentum}, extra=extra)
        return new, spoil(state, metrics)

    def sample(state: InferenceState, key, n, *, start=0, prior="ebm", **_):
        keys = randomness.per_example(key, start + jnp.arange(n))
        images = jax.vmap(lambda k: jax.random.uniform(k, (8, 8, 1)))(keys)
        return Samples(images + 0 * state.params["net"]["w"][0], images, None, None, None)

    def reconstruct(state, images, key, index):
        return images * state.params["net"]["w"][0]

    def log_score(state, images, key, index, k=0):
        return images.sum((1, 2, 3))

    return Method(
        name="toy",
        init=init,
        update=update,
        sample=sample,
        posterior=reconstruct,
        reconstruct=reconstruct,
        log_score=log_score,
        energy=reconstruct,
        has_energy=False,
        advice="lower the toy's learning rate",
    )


def start(method=None):
    return init_loop_state(method or toy_method(), BATCH, jax.random.key(0))


def trained(step, state, count, key=None):
    for _ in range(count):
        state = step(state, BATCH, jax.random.key(0) if key is None else key)
    return state


def assert_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def only(name, value):
    """Spoils the metric `name` at step 2."""

    def spoil(state, metrics):
        return metrics | {name: jnp.where(state.step == 2, value, metrics[name])}

    return spoil


@pytest.mark.parametrize(
    "name, value",
    [
        ("loss/total", jnp.nan),
        ("loss/total", -jnp.inf),
        ("grad_norm/net", 1001.0),
        ("energy/positive", -51.0),
    ],
)
def test_bad_update_changes_the_counters_alone(name, value):
    step = jax.jit(build_step(toy_method(spoil=only(name, value)), STABILITY, 0.9))
    before = trained(step, start(), 2)
    after = trained(step, before, 1)
    unchanged = ("params", "opt_state", "ema", "extra", "rollbacks")
    for field in unchanged:
        assert_equal(getattr(after.train, field), getattr(before.train, field))
    assert (after.train.step, after.train.skipped, after.train.skipped_in_row) == (3, 1, 1)
    assert_equal(after.metrics, before.metrics)
    on = trained(step, after, 1)
    assert (on.train.step, on.train.skipped, on.train.skipped_in_row) == (4, 1, 0)
    assert np.any(on.train.params["net"]["w"] != before.train.params["net"]["w"])


@pytest.mark.parametrize("name, value", [("loss/total", 1e6), ("grad_norm/net", 999.0)])
def test_large_but_allowed_values_are_no_reason_to_skip(name, value):
    step = jax.jit(build_step(toy_method(spoil=only(name, value)), STABILITY, 0.9))
    assert trained(step, start(), 3).train.skipped == 0


def test_non_finite_parameters_are_skipped_though_the_metrics_look_well():
    method = toy_method()

    def update(state, batch, key):
        new, metrics = method.update(state, batch, key)
        return new._replace(params=jax.tree.map(lambda p: p + jnp.inf, new.params)), metrics

    step = jax.jit(build_step(method._replace(update=update), STABILITY, 0.9))
    after = trained(step, start(), 2).train
    assert after.skipped_in_row == 2
    assert_equal(after.params, start().train.params)


def test_moving_average_starts_with_a_short_memory():
    step = jax.jit(build_step(toy_method(), STABILITY, 0.3))
    state = start()
    expected = np.asarray(state.train.ema["net"]["w"])
    for k in range(6):
        state = trained(step, state, 1)
        decay = min(0.3, (1 + k) / (10 + k))  # 0.1, 0.18, 0.25, then 0.3
        expected = decay * expected + (1 - decay) * np.asarray(state.train.params["net"]["w"])
        np.testing.assert_allclose(state.train.ema["net"]["w"], expected, rtol=1e-5)


def test_accumulators_hold_the_mean_of_the_good_updates():
    seen = []

    def spoil(state, metrics):
        jax.debug.callback(lambda *x: seen.append(x), state.step, metrics["loss/total"])
        return metrics | {"loss/total": jnp.where(state.step == 2, jnp.nan, metrics["loss/total"])}

    state = trained(jax.jit(build_step(toy_method(spoil=spoil), STABILITY, 0.9)), start(), 5)
    jax.effects_barrier()
    good = [float(loss) for step, loss in seen if step != 2]
    assert len(good) == 4
    total = state.metrics["loss/total"]
    np.testing.assert_allclose(total.total / total.count, np.mean(good), rtol=1e-5)


def test_accumulators_start_empty():
    metrics = empty_metrics(["b", "a"])
    assert list(metrics) == ["a", "b"]
    assert metrics["a"].total == metrics["a"].count == 0


def first_update(**changes):
    state = start()
    state = state._replace(train=state.train._replace(**changes))
    step = jax.jit(build_step(toy_method(), STABILITY, 0.9))
    moved = trained(step, state, 1).train.params["net"]["w"]
    return np.asarray(moved - state.train.params["net"]["w"])


def test_noise_depends_on_step_rollbacks_and_seed_alone():
    base = first_update()
    np.testing.assert_array_equal(base, first_update(skipped=jnp.int32(4)))
    others = [
        first_update(step=jnp.int32(1)),
        first_update(rollbacks=jnp.int32(1)),
        first_update(step=jnp.int32(1), rollbacks=jnp.int32(1)),
    ]
    assert len({tuple(x) for x in (base, *others)}) == 4
    step = jax.jit(build_step(toy_method(), STABILITY, 0.9))
    other_seed = trained(step, start(), 1, jax.random.key(1)).train.params["net"]["w"]
    assert np.any(other_seed - start().train.params["net"]["w"] != base)


def test_a_model_larger_than_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(training_step.os, "sysconf", lambda name: 2)  # 4 bytes
    with pytest.raises(ConfigError, match="would take .* GiB, but this machine has 0.0 GiB"):
        init_loop_state(toy_method(None), BATCH, jax.random.key(0))
