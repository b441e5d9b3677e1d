"""Keys: streams differ by name, examples by their global index."""

import jax
import numpy as np

from ebm_jax import randomness


def data_of(key):
    return tuple(np.asarray(jax.random.key_data(key)).ravel())


def test_streams_differ_by_name_and_by_key():
    names = ["init", "update", "snapshot", "prior", "posterior", "eval/samples"]
    keys = [randomness.stream(jax.random.key(seed), n) for seed in (0, 1) for n in names]
    assert len({data_of(key) for key in keys}) == len(keys)


def test_streams_are_the_same_in_every_process():
    # A constant: Python's own hash() of a name differs between processes.
    key = jax.random.key(0)
    assert data_of(randomness.stream(key, "update")) == data_of(jax.random.fold_in(key, 0x18253578))


def test_example_key_depends_on_its_index_and_not_on_the_batch():
    key = jax.random.key(2)
    together = randomness.per_example(key, np.arange(8))
    part = randomness.per_example(key, np.array([5, 3]))
    assert data_of(part[0]) == data_of(together[5]) == data_of(jax.random.fold_in(key, 5))
    assert data_of(part[1]) == data_of(together[3])
    assert len({data_of(k) for k in together}) == 8


def test_streams_of_many_keys_are_those_of_each():
    keys = randomness.per_example(jax.random.key(0), np.arange(3))
    named = randomness.streams(keys, "prior")
    for one, key in zip(named, keys, strict=True):
        assert data_of(one) == data_of(randomness.stream(key, "prior"))
