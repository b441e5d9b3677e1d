"""Functions compiled for one call give the numbers of `jax.jit`."""

import jax
import numpy as np

from ebm_jax.compilation import jit_once


def draw(key, num):
    return {"kernel": jax.random.truncated_normal(key, -2, 2, (num, 8)), "bias": jax.numpy.ones(8)}


def test_same_numbers_as_jit():
    key = jax.random.key(3)
    found = jit_once(draw, static_argnames="num")(key, num=5)
    as_users_have = {"xla_backend_optimization_level": 3}  # whatever it is for the tests
    expected = jax.jit(draw, static_argnames="num", compiler_options=as_users_have)(key, num=5)
    assert found["kernel"].std() > 0.5
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_compiled_once():
    traced = []

    def count(x):
        traced.append(None)
        return x + 1

    compiled = jit_once(count)
    assert [int(compiled(i)) for i in range(3)] == [1, 2, 3]
    assert len(traced) == 1
