"""Matrix products alone: what a step would take if it were nothing else."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

Product = tuple[int, int, int]  # [m, k] × [k, n]


def passes(layer: Product, *, to_input: bool = True) -> list[Product]:
    """Forward, gradient to the input and gradient to the kernel of a layer (rows, inputs, outputs).

    A convolution counts as the product it amounts to: a row per pixel of its result.
    """
    rows, inputs, outputs = layer
    back = [(rows, outputs, inputs)] if to_input else []
    return [layer, *back, (inputs, rows, outputs)]


def matmuls(counted: list[tuple[int, Product]]) -> Callable[[], list[jax.Array]]:
    """A call of so many products of each shape, each count under one loop."""
    operands = []
    for count, (rows, inner, columns) in counted:
        left = jnp.ones((rows, inner)) / inner
        operands.append((count, left, jnp.ones((inner, columns))))

    @functools.partial(jax.jit, static_argnums=0)
    def repeat(count, left, right):
        def body(_, both):
            left, before = both
            left = left.at[0, 0].set(1e-9 * before[0, 0])  # in place: waits for the one before
            return left, left @ right

        nothing = jnp.zeros((left.shape[0], right.shape[1]))
        return jax.lax.fori_loop(0, count, body, (left, nothing))[1]

    def call():
        return [repeat(count, left, right) for count, left, right in operands]

    return call
