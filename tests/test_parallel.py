"""Devices: two give what one gives, with gradients averaged and not summed."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import hats, nvaes, stages
from ebm_jax import data, methods, parallel
from ebm_jax.errors import ConfigError
from ebm_jax.training_step import build_step, init_loop_state
from tests.test_train import tiny_config
from tests.test_training_step import BATCH, STABILITY, assert_equal, toy_method

ROOT = Path(__file__).resolve().parent.parent


def test_replicate_and_back_keeps_values_and_types():
    tree = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": jnp.asarray([1.5], jnp.bfloat16),
        "c": np.int32(3),
        "d": np.array(True),
    }
    copies = parallel.replicate(tree)
    assert all(leaf.shape[0] == jax.local_device_count() for leaf in jax.tree.leaves(copies))
    back = parallel.to_host(copies)
    assert_equal(back, tree)
    assert jax.tree.map(lambda x: x.dtype, back) == jax.tree.map(lambda x: x.dtype, tree)


def test_keys_are_replicated_as_keys():
    key = jax.random.key(3)
    copies = parallel.replicate(key)
    assert copies.shape == (2,)
    np.testing.assert_array_equal(jax.random.key_data(copies[1]), jax.random.key_data(key))


def test_batch_is_split_by_device_then_step():
    index = np.arange(2 * 4)  # two steps of four examples
    split = parallel.split_batch({"index": index}, steps=2)["index"]
    np.testing.assert_array_equal(split, [[[0, 1], [4, 5]], [[2, 3], [6, 7]]])


@pytest.mark.parametrize("size", [0, -2, 3])
def test_batch_size_must_split_evenly(size):
    with pytest.raises(ConfigError, match=rf"data.batch_size is {size}, .* 2 devices"):
        parallel.check_batch_size(size)
    parallel.check_batch_size(4)


def on_two_devices(method_of, batch, stability, steps=1):
    """The LoopState after `steps` steps on the same batch, by pmap and by plain jit."""
    key = jax.random.key(0)
    initial = jax.device_get(init_loop_state(method_of(None), batch, key))
    p_step = parallel.pmap_step(build_step(method_of(parallel.AXIS), stability, 0.9))
    single_step = jax.jit(build_step(method_of(None), stability, 0.9))
    many, one = parallel.replicate(initial), initial
    for _ in range(steps):
        many = p_step(many, parallel.split_batch(batch), parallel.replicate(key))
        one = single_step(one, batch, key)
    return initial, many, one


def test_sgd_on_two_devices_is_sgd_on_one():
    initial, many, one = on_two_devices(toy_method, BATCH, STABILITY, steps=3)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        parallel.to_host(many),
        jax.device_get(one),
    )
    moved = one.train.params["net"]["w"] - initial.train.params["net"]["w"]
    assert np.abs(moved).min() > 1e-4  # so a factor of two could not hide


def test_devices_hold_the_same_state():
    _, many, _ = on_two_devices(toy_method, BATCH, STABILITY, steps=2)
    for leaf in jax.tree.leaves(many):
        first, second = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        np.testing.assert_array_equal(first, second)


def test_noise_of_an_example_does_not_depend_on_its_device():
    def noisy(axis_name):
        method = toy_method(axis_name)

        def update(state, batch, key):
            new, metrics = method.update(state._replace(extra={"seen": 0}), batch, key)
            folded = jax.vmap(jax.random.fold_in, (None, 0))(key, batch["index"])
            drawn = jax.vmap(lambda k: jax.random.normal(k, (2,)))(folded)
            if axis_name:
                drawn = jax.lax.all_gather(drawn, axis_name, tiled=True)
            return new._replace(extra={"drawn": drawn}), metrics

        def init(key, batch):
            return method.init(key, batch)._replace(extra={"drawn": jnp.zeros((4, 2))})

        return method._replace(init=init, update=update)

    _, many, one = on_two_devices(noisy, BATCH, STABILITY)
    np.testing.assert_array_equal(
        parallel.to_host(many).train.extra["drawn"], one.train.extra["drawn"]
    )
    assert len(np.unique(one.train.extra["drawn"])) == 8


def random_batch(count):
    image = np.random.default_rng(0).uniform(-1, 1, (count, 8, 8, 1)).astype(np.float32)
    return {"image": image, "label": np.zeros(count, np.int32), "index": np.arange(count)}


def test_sngan_on_two_devices_is_that_on_one():
    """Each of the discriminator's steps has the same examples, and batch statistics of all."""
    c = hats.sngan(8, 1)
    hats.on_digits(c)
    c.data.batch_size, c.data.num_examples, c.gan.discriminator_steps = 12, 100, 3
    c.model.generator.hidden = (4, 4)
    c.model.discriminator.update(hidden=(4, 4), halvings=1)
    for group in ("generator", "discriminator"):
        c.optim[group].algorithm = "sgd"
        c.optim[group].learning_rate = 0.1
    initial, many, one = on_two_devices(
        lambda axis: methods.build(c, axis), random_batch(12), c.stability, steps=2
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        parallel.to_host(many).train,
        jax.device_get(one).train,
    )
    moved = jax.tree.map(lambda a, b: abs(a - b).max(), one.train.params, initial.train.params)
    assert min(max(jax.tree.leaves(group)) for group in moved.values()) > 1e-2


def test_hat_ebm_on_two_devices_is_that_on_one():
    """Each device holds the whole bank, and the bank that one device would have."""
    c = hats.synthesis(8, 1)
    hats.on_digits(c)
    c.data.batch_size, c.data.num_examples, c.hat.bank_size = 4, 100, 9
    c.model.generator.hidden = (4, 4)
    c.model.energy.update(hidden=(4, 4), halvings=1)
    c.hat.z_step_size, c.hat.temperature = 0.1, 0.1
    c.hat.generator_weight = 100.0  # with more, SGD at this rate is unstable
    c.sampler.prior.num_steps = 3
    for group in ("generator", "energy"):
        c.optim[group].algorithm = "sgd"
        c.optim[group].learning_rate = 0.01
    initial, many, one = on_two_devices(
        lambda axis: methods.build(c, axis), random_batch(4), c.stability, steps=3
    )
    for device in range(2):
        theirs = jax.tree.map(lambda leaf, i=device: np.asarray(leaf)[i], many).train
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-5),
            (theirs.params, theirs.extra),
            (jax.device_get(one).train.params, jax.device_get(one).train.extra),
        )
    moved = jax.tree.map(lambda a, b: abs(a - b).max(), one.train.params, initial.train.params)
    assert min(max(jax.tree.leaves(group)) for group in moved.values()) > 1e-3
    before, after = (state.train.extra["training"]["bank"].x for state in (initial, one))
    assert 4 <= np.any(np.asarray(before != after), axis=(1, 2, 3)).sum() <= 9


@pytest.mark.parametrize(
    "stage, remat",
    [(None, False), (None, True), (stages.joint, False), (stages.diffusion, False)],
)
def test_deep_models_on_two_devices_are_those_on_one(stage, remat):
    """Batch statistics and the balance of KL terms are of all examples; energies learn alike."""
    c = nvaes.nvae(
        *("digits", 8, 1),
        **dict(scales=(1, 1), latent_side=4, latent_channels=1, width=8, cells=1, num_steps=4),
    )
    c.nvae.kl_warmup, c.train.remat = 1.0, remat
    if stage:
        stage(c)
        c.model.energy.update(hidden=(6,), channels=4, zero_init=False)
        c.sampler.prior.num_steps = 2
    c.data.batch_size, c.data.num_examples = 4, 100
    learned = ("energy",) if stage else ("generator", "inference")
    for group in learned:
        c.optim[group].update(algorithm="sgd", learning_rate=1e-3)
    initial, many, one = on_two_devices(
        lambda axis: methods.build(c, axis), random_batch(4), c.stability, steps=2
    )
    many, one = parallel.to_host(many).train, jax.device_get(one).train
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), many.params, one.params
    )
    statistics = many.extra["statistics"], one.extra["statistics"]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), *statistics)
    moved = jax.tree.map(lambda a, b: abs(a - b).max(), one.params, initial.train.params)
    assert min(max(jax.tree.leaves(moved[group])) for group in learned) > 1e-4


def test_joint_method_on_two_devices_is_that_on_one():
    config = tiny_config()
    config.train.warmup_steps = 0
    dataset = data.open_dataset(config.data, "train")
    config.data.num_examples = dataset.num_examples
    batch = data.make_batch(dataset, config.data, 0, 0)
    # The energies start at zero: their gradient needs no warm-up, but their chains do.
    _, many, one = on_two_devices(
        lambda axis: methods.build(config, axis), batch, config.stability, steps=2
    )
    many, one = parallel.to_host(many), jax.device_get(one)
    for name, average in one.metrics.items():  # Adam would hide a factor on the gradients
        np.testing.assert_allclose(
            many.metrics[name].total, average.total, rtol=2e-3, atol=1e-4, err_msg=name
        )
    assert one.metrics["grad_norm/generator"].total > 1
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4),
        many.train.params,
        one.train.params,
    )


def test_steps_in_one_dispatch_equal_single_ones():
    key = jax.random.key(0)
    initial = jax.device_get(init_loop_state(toy_method(), BATCH, key))
    step = build_step(toy_method(parallel.AXIS), STABILITY, 0.9)
    keys = parallel.replicate(key)
    parts = [BATCH | {"image": BATCH["image"] + i} for i in range(3)]
    single = parallel.replicate(initial)
    for part in parts:
        single = parallel.pmap_step(step)(single, parallel.split_batch(part), keys)
    together = {name: np.concatenate([part[name] for part in parts]) for name in BATCH}
    scanned = parallel.pmap_step(step)(
        parallel.replicate(initial), parallel.split_batch(together, 3), keys
    )
    assert parallel.to_host(scanned).train.step == 3
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7),
        parallel.to_host(scanned),
        parallel.to_host(single),
    )


def test_host_copies_survive_the_donation_of_the_state():
    key = jax.random.key(0)
    initial = jax.device_get(init_loop_state(toy_method(), BATCH, key))
    kept = jax.tree.map(np.copy, initial)
    state = parallel.replicate(initial)
    copied = parallel.to_host(state)
    p_step = parallel.pmap_step(build_step(toy_method(parallel.AXIS), STABILITY, 0.9))
    for _ in range(3):
        before = state
        state = p_step(state, parallel.split_batch(BATCH), parallel.replicate(key))
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.train.params))
    assert_equal(initial, kept)
    assert_equal(copied, kept)


def launch(*values):
    return dict(zip(parallel._LAUNCH, values, strict=True))


@pytest.mark.parametrize(
    "given, message",
    [
        (
            {"JAX_NUM_PROCESSES": "2"},
            "JAX_NUM_PROCESSES set, but without JAX_COORDINATOR_ADDRESS, JAX_PROCESS_ID; set all",
        ),
        (launch("localhost:1", "two", "0"), "JAX_NUM_PROCESSES is 'two' and JAX_PROCESS_ID is '0'"),
        (
            launch("localhost:1", "2", "2"),
            "JAX_PROCESS_ID is '2'; use the number of processes, and",
        ),
        (
            launch("localhost:1", "0", "0"),
            "JAX_NUM_PROCESSES is '0' and JAX_PROCESS_ID is '0'; use",
        ),
        (launch("localhost:1", "2", "-1"), "JAX_PROCESS_ID is '-1'; use the number of processes"),
        (launch("localhost", "1", "0"), "ADDRESS is 'localhost'; use host:port of process 0, with"),
        (launch("localhost:99999", "1", "0"), "ADDRESS is 'localhost:99999'; use host:port of pro"),
    ],
)
def test_half_given_launches_are_refused(monkeypatch, given, message):
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=message):
        parallel.initialise()


def test_processes_that_do_not_meet_end_with_a_sentence():
    """Process 0 of two, alone: nobody comes."""
    script = (
        "from ebm_jax import parallel\nparallel._PATIENCE = 2.0\n"
        "parallel.initialise()\nprint('met')"
    )
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **launch(address, "2", "0")},
        **dict(capture_output=True, text=True, timeout=60, cwd=ROOT),
    )
    assert done.returncode == 2 and "met" not in done.stdout
    assert "error: the processes of this job did not meet (in 2 s); start all of" in done.stderr


def test_one_process_joins_nobody(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "localhost")
    parallel.initialise()
    assert not jax.distributed.is_initialized()


def test_accumulated_batch_must_split_evenly():
    with pytest.raises(
        ConfigError, match=r"8, .* in 3 parts each .*; use a positive multiple of 6"
    ):
        parallel.check_batch_size(8, 3)
    parallel.check_batch_size(12, 3)
