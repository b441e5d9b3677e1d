"""Running chains: independence of the batch, bookkeeping, gradients, memory and traces."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.samplers import Info, Kernel, langevin, mala, normal_like, run_chain

KERNELS = {"langevin": langevin, "mala": mala}


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def log_prob(position):
    x, y = position
    return -0.5 * jnp.sum(x**2, axis=1) - 0.25 * jnp.sum(y**4, axis=(1, 2))


def start(n=4):
    return normal_like(keys(n, seed=1), (jnp.zeros((n, 3)), jnp.zeros((n, 2, 2))))


def take(tree, i):
    return jax.tree.map(lambda x: x[i : i + 1], tree)


def assert_trees_equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(params=KERNELS)
def kernel(request):
    return KERNELS[request.param](log_prob, 0.7)


def close(a, b):
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


class Counted(NamedTuple):
    position: jax.Array


def counting_kernel(nan_at=-1):
    """Adds 1 a step: energy is the count before it, even steps accept, step `nan_at` is bad."""

    def step(keys, state):
        count = state.position[:, 0]
        info = Info(
            energy=count,
            grad_norm=10 * count,
            displacement=jnp.ones_like(count),
            finite=count != nan_at,
            accepted=(count % 2 == 0).astype(count.dtype),
        )
        return Counted(state.position + 1), info

    return Kernel(init=Counted, step=step)


# What a chain computes


def test_a_chain_does_not_depend_on_its_batch(kernel):
    """Chain 1 of a batch of four is the chain run alone with its key, its positions bit by bit."""
    run = jax.jit(lambda k, x: run_chain(kernel, k, x, 6, keep_every=3))
    batch, alone = run(keys(4), start()), run(keys(4)[1:2], take(start(), 1))
    assert_trees_equal(take(batch.position, 1), alone.position)
    second = jax.tree.map(lambda x: x[:, 1:2], (batch.trajectory, batch.profile))
    assert_trees_equal(second[0], alone.trajectory)
    jax.tree.map(close, second[1], alone.profile)  # its sums may be ordered by the batch's size
    jax.tree.map(close, take(batch.info, 1), alone.info)


def test_chains_of_one_batch_differ(kernel):
    same = jax.tree.map(lambda x: jnp.broadcast_to(x[:1], x.shape), start())
    x, _ = jax.jit(lambda: run_chain(kernel, keys(4), same, 4).position)()
    assert len(np.unique(x[:, 0])) == 4


@pytest.mark.parametrize("keep_every", [0, 3])
def test_steps_are_the_kernels_one_after_the_other(kernel, keep_every):
    """Step k uses fold_in(key, k)."""
    step = jax.jit(kernel.step)
    state, infos, positions = kernel.init(start()), [], []
    fold_in = jax.jit(jax.vmap(jax.random.fold_in, (0, None)))
    for k in range(6):
        step_keys = fold_in(keys(4), k)
        state, info = step(step_keys, state)
        infos.append(info)
        positions.append(state.position)
    chain = run_chain(kernel, keys(4), start(), 6, keep_every=keep_every)
    jax.tree.map(close, chain.position, positions[-1])
    close(chain.info.energy, infos[-1].energy)
    close(chain.info.accepted, np.mean([i.accepted for i in infos], axis=0))
    if not keep_every:
        assert chain.trajectory is None and chain.profile is None
        return
    kept = slice(keep_every - 1, None, keep_every)
    expected = jax.tree.map(lambda *leaves: jnp.stack(leaves), *positions[kept])
    jax.tree.map(close, chain.trajectory, expected)


@pytest.mark.parametrize(("keep_every", "kept"), [(2, [1, 3, 5]), (3, [2, 5]), (1, range(6))])
def test_profile_is_the_info_of_the_kept_steps(keep_every, kept):
    chain = run_chain(counting_kernel(), keys(2), jnp.zeros((2, 1)), 6, keep_every=keep_every)
    np.testing.assert_array_equal(chain.profile.energy[:, 0], list(kept))
    np.testing.assert_array_equal(chain.profile.accepted[:, 0], [k % 2 == 0 for k in kept])
    np.testing.assert_array_equal(chain.trajectory[:, 0, 0], [k + 1 for k in kept])


@pytest.mark.parametrize("keep_every", [0, 2])
def test_info_is_the_last_steps_but_for_finite_and_accepted(keep_every):
    """Chains start at 0 and 10; the first meets the bad count 2, the second never does."""
    position = jnp.array([[0.0], [10.0]])
    chain = run_chain(counting_kernel(nan_at=2), keys(2), position, 6, keep_every=keep_every)
    np.testing.assert_array_equal(chain.info.energy, [5, 15])
    np.testing.assert_array_equal(chain.info.grad_norm, [50, 150])
    np.testing.assert_array_equal(chain.info.finite, [False, True])
    np.testing.assert_allclose(chain.info.accepted, [0.5, 0.5], rtol=1e-6)


@pytest.mark.parametrize("keep_every", [0, 5])
def test_no_steps_return_the_start(kernel, keep_every):
    chain = run_chain(kernel, keys(4), start(), 0, keep_every=keep_every)
    assert_trees_equal(chain.position, start())
    np.testing.assert_array_equal(chain.info.finite, True)
    if keep_every:
        assert chain.trajectory[0].shape == (0, 4, 3)


def test_keep_every_must_divide_the_steps(kernel):
    with pytest.raises(ValueError, match="keep_every=4 does not divide num_steps=6"):
        run_chain(kernel, keys(4), start(), 6, keep_every=4)


def test_positions_keep_their_structure_shape_and_dtype(kernel):
    chain = jax.eval_shape(lambda: run_chain(kernel, keys(4), start(), 2, keep_every=1))
    assert jax.tree.map(jnp.shape, chain.position) == ((4, 3), (4, 2, 2))
    assert jax.tree.map(jnp.shape, chain.trajectory) == ((2, 4, 3), (2, 4, 2, 2))
    assert {x.dtype for x in jax.tree.leaves(chain.position)} == {jnp.dtype("float32")}


# What a chain costs


@pytest.mark.parametrize("build", [langevin, mala])
@pytest.mark.parametrize("keep_every", [0, 2])
def test_no_gradient_flows_through(build, keep_every):
    def end(parameter, position, stopped=True):
        kernel = build(lambda x: -0.5 * parameter * jnp.sum(x**2, axis=1), 0.5)
        if not stopped:
            return jnp.sum(kernel.step(keys(4), kernel.init(position))[0].position)
        chain = run_chain(kernel, keys(4), position, 2, keep_every=keep_every)
        return sum(jnp.sum(x) for x in jax.tree.leaves(chain) if x.dtype == jnp.float32)

    grad = jax.jit(jax.grad(end, argnums=(0, 1)), static_argnames="stopped")
    position = jnp.ones((4, 3))
    for g in jax.tree.leaves(grad(2.0, position)):
        np.testing.assert_array_equal(g, np.zeros_like(g))
    for g in jax.tree.leaves(grad(2.0, position, stopped=False)):
        assert (
            np.abs(g).max() > 0
        )  # the kernel alone is differentiable, so the zeros mean something


def test_memory_does_not_grow_with_the_steps(kernel):
    """Inside a gradient, where a differentiated scan would store every step."""

    def loss(scale, position, steps):
        chain = run_chain(kernel, keys(64), jax.tree.map(lambda x: scale * x, position), steps)
        return scale * jnp.sum(chain.position[0])

    def temporary_bytes(function, steps):
        lowered = jax.jit(function, static_argnums=2).lower(1.0, start(64), steps)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    grad = jax.grad(loss)
    growth = (temporary_bytes(grad, 1000) - temporary_bytes(grad, 10)) / 990
    assert growth <= 8  # bytes a step: its number, and nothing like the 1792 of a position


@pytest.mark.parametrize("keep_every", [0, 5])
@pytest.mark.parametrize("build", [langevin, mala])
def test_the_density_is_traced_as_often_for_many_steps_as_for_few(build, keep_every):
    def traces(num_steps):
        count = 0

        def counted(position):
            nonlocal count
            count += 1
            return log_prob(position)

        def run(keys, position):
            return run_chain(build(counted, 0.1), keys, position, num_steps, keep_every=keep_every)

        jax.jit(run).lower(keys(4), start())
        return count

    assert traces(10) == traces(1000) <= 4
