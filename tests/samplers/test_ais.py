"""AIS against integrals in closed form, from both directions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.samplers import Info, Kernel, ais, hmc

CHAINS = 2000
MEAN, STD = np.array([1.0, -1.5, 0.5]), np.array([0.3, 0.6, 1.5])
# f_1 = exp of an un-normalised Gaussian log density, its integral:
LOG_Z = 0.7 + np.sum(np.log(STD)) + 1.5 * np.log(2 * np.pi)


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def base(x):
    return jnp.sum(-0.5 * x**2 - 0.5 * np.log(2 * np.pi), axis=1)


def target(x):
    scaled = (x - jnp.asarray(MEAN, x.dtype)[None]) / jnp.asarray(STD, x.dtype)[None]
    return 0.7 - 0.5 * jnp.sum(scaled**2, axis=1)


PATHS = {
    "geometric": ais.geometric_path(base, lambda x: target(x) - base(x)),
    "any family": ais.path_of(lambda beta, x: (1 - beta) * base(x) + beta * target(x)),
    # temperature and place change at once: no geometric path at all
    "moving": ais.path_of(
        lambda beta, x: (
            (1 - beta**2) * base(x - beta * jnp.asarray(MEAN, x.dtype)[None] / 2)
            + beta**2 * target(x)
        )
    ),
}


def kernel(log_prob, step):
    return hmc(log_prob, step, num_leapfrog=4, jitter=0.2)


def still(log_prob, step):
    """A kernel that leaves every density invariant and goes nowhere."""

    def stand(_, position):
        zero = jnp.zeros(position.shape[0])
        return Still(position), Info(zero, zero, zero, zero == 0, zero)

    return Kernel(init=Still, step=lambda keys, state: stand(keys, state.position))


class Still(NamedTuple):
    position: jax.Array


def base_samples(n, seed=1):
    return jax.random.normal(jax.random.key(seed), (n, 3))


def target_samples(n, seed=2):
    return jnp.asarray(
        MEAN + STD * np.random.RandomState(seed).standard_normal((n, 3)), jnp.float32
    )


def log_mean(log_weights):
    w = np.asarray(log_weights, np.float64)
    return np.log(np.mean(np.exp(w - w.max()))) + w.max()


@pytest.mark.parametrize("name", PATHS)
def test_the_integral_lies_between_the_two_directions(name):
    path, betas = PATHS[name], ais.temperatures(1000)
    steps = ais.tune(path, kernel, betas, keys(100, 9), base_samples(100, 9))
    run = jax.jit(lambda k, x: ais.forward(path, kernel, betas, steps, k, x))
    back = jax.jit(lambda k, x: ais.reverse(path, kernel, betas, steps, k, x))
    up, down = (
        run(keys(CHAINS), base_samples(CHAINS)),
        back(keys(CHAINS, 3), target_samples(CHAINS)),
    )
    lower, upper = np.mean(up.log_weights), -np.mean(down.log_weights)  # of single chains
    assert lower < LOG_Z < upper
    assert upper - lower < 0.1
    assert abs(log_mean(up.log_weights) - LOG_Z) < 0.03  # five standard errors
    assert abs(-log_mean(down.log_weights) - LOG_Z) < 0.03
    assert 0.4 < float(up.accepted.mean()) < 0.9


def test_the_forward_ends_are_the_target_and_the_reverse_ends_the_base():
    path, betas = PATHS["geometric"], ais.temperatures(60)
    steps = jnp.full(60, 0.4)
    up = ais.forward(path, kernel, betas, steps, keys(4000), base_samples(4000))
    w = np.exp(np.asarray(up.log_weights, np.float64))
    w /= w.sum()
    x = np.asarray(up.position)
    mean = w @ x
    np.testing.assert_allclose(mean, MEAN, atol=0.12)
    np.testing.assert_allclose(np.sqrt(w @ (x - mean) ** 2), STD, rtol=0.12)
    down = ais.reverse(path, kernel, betas, steps, keys(4000, 5), target_samples(4000))
    w = np.exp(np.asarray(down.log_weights, np.float64))
    mean = (w / w.sum()) @ np.asarray(down.position)
    np.testing.assert_allclose(mean, 0.0, atol=0.15)


def test_one_step_is_plain_importance_sampling():
    """T = 1: the weight is f_1 / f_0 at the start, whatever the kernel then does."""
    x = base_samples(CHAINS)
    for path in (PATHS["geometric"], PATHS["any family"]):
        run = ais.forward(path, kernel, ais.temperatures(1), jnp.full(1, 0.3), keys(CHAINS), x)
        np.testing.assert_allclose(run.log_weights, target(x) - base(x), rtol=1e-5, atol=1e-4)
        assert np.mean(np.any(run.position != x, axis=1)) > 0.5


def test_weights_of_a_standing_chain_telescope():
    """With a kernel that stands still the increments add up to the whole difference, both ways."""
    x, betas = base_samples(50), ais.temperatures(37)
    for path in PATHS.values():
        whole = path.log_prob(1.0, x) - path.log_prob(0.0, x)
        run = ais.forward(path, still, betas, jnp.ones(37), keys(50), x)
        np.testing.assert_allclose(run.log_weights, whole, rtol=1e-4, atol=1e-3)
        run = ais.reverse(path, still, betas, jnp.ones(37), keys(50), x)
        np.testing.assert_allclose(run.log_weights, -whole, rtol=1e-4, atol=1e-3)


def test_more_temperatures_tighten_the_bound():
    path = PATHS["geometric"]
    bounds = []
    for num in (2, 16, 128):
        steps = jnp.full(num, 0.3)
        run = ais.forward(
            path, kernel, ais.temperatures(num), steps, keys(CHAINS), base_samples(CHAINS)
        )
        bounds.append(float(jnp.mean(run.log_weights)))
    assert bounds == sorted(bounds) and bounds[0] < bounds[-1] - 3
    assert bounds[-1] < LOG_Z


def test_a_mixture_of_gaussians_has_its_known_integral():
    """Two modes, both reached from the base: Z = 3 + 1 times the base's, kept by weights."""

    def log_target(x):
        one = base((x - 1.5) / 0.5) - 3 * np.log(0.5) + np.log(3.0)
        two = base((x + 1.5) / 0.5) - 3 * np.log(0.5)
        return jnp.logaddexp(one, two)

    path = ais.geometric_path(base, lambda x: log_target(x) - base(x))
    betas = ais.temperatures(200)
    run = jax.jit(lambda k, x: ais.forward(path, kernel, betas, jnp.full(200, 0.3), k, x))(
        keys(2000), base_samples(2000)
    )
    assert log_mean(run.log_weights) == pytest.approx(np.log(4.0), abs=0.1)
    w = np.exp(np.asarray(run.log_weights, np.float64))
    share = w @ (np.asarray(run.position).sum(1) > 0) / w.sum()
    assert share == pytest.approx(0.75, abs=0.05)


def test_tuned_steps_give_the_wanted_acceptance_everywhere():
    """The target is 30 times narrower than the base: one step size would not do."""
    path = ais.geometric_path(base, lambda x: base(x / 0.03) - base(x))
    betas = ais.temperatures(150)
    steps = ais.tune(path, kernel, betas, keys(200), base_samples(200), target=0.65)
    assert steps.shape == (150,)
    assert float(steps[0]) > 10 * float(steps[-1])
    run = ais.forward(path, kernel, betas, steps, keys(200, 4), base_samples(200, 4))
    assert 0.5 < float(run.accepted.mean()) < 0.8


def test_schedules():
    for kind in ("sigmoid", "linear"):
        betas = np.asarray(ais.temperatures(10, kind), np.float64)
        assert betas.shape == (11,) and betas[0] == 0.0 and betas[-1] == 1.0
        assert np.all(np.diff(betas) > 0)
        np.testing.assert_allclose(betas + betas[::-1], 1.0, atol=1e-6)
    sigmoid = np.asarray(ais.temperatures(4, sharpness=2.0), np.float64)
    s = 1 / (1 + np.exp(-2.0 * np.array([-1, -0.5, 0, 0.5, 1])))
    np.testing.assert_allclose(sigmoid, (s - s[0]) / (s[-1] - s[0]), atol=1e-6)
    for num, kind in ((0, "linear"), (5, "cosine")):
        with pytest.raises(ValueError, match=f"num is {num} and kind is '{kind}'"):
            ais.temperatures(num, kind)


def test_memory_does_not_grow_with_the_temperatures():
    path = PATHS["geometric"]

    def temporary(num):
        run = jax.jit(
            lambda k, x: ais.forward(path, kernel, ais.temperatures(num), jnp.full(num, 0.3), k, x)
        )
        compiled = run.lower(keys(2000), base_samples(2000)).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary(2000) < temporary(20) + 4 * 2000 * 3 * 4  # a few arrays of length T
