"""Fully connected layers: Flax's parameters, gradients that are fast in a CPU's loops."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp


class Dense(nn.Module):
    """[..., inputs] → [..., features]; parameters as `flax.linen.Dense`'s.

    Differentiable in reverse mode.

    Attributes:
      features: outputs.
      dtype: of the computation; parameters are float32.
    """

    features: int
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        y = product(x.astype(self.dtype), kernel.astype(self.dtype))
        if not self.use_bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(self.dtype)
        return y + bias.reshape((1,) * (y.ndim - 1) + (-1,))


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """x [..., n] times kernel [n, m]."""
    return x @ kernel


def _forward(x, kernel):
    return x @ kernel, (x, kernel)


def _backward(residuals, dy):
    x, kernel = residuals
    dx = jax.lax.platform_dependent(dy, kernel, cpu=_input_on_cpu, default=lambda a, b: a @ b.T)
    rows = x.reshape(-1, x.shape[-1])
    return dx, rows.T @ dy.reshape(-1, dy.shape[-1])


product.defvjp(_forward, _backward)


def _input_on_cpu(dy, kernel):
    return dy @ transposed(kernel)


def transposed(matrix: jax.Array) -> jax.Array:
    """The last two axes swapped, in memory.

    XLA:CPU's products are up to 3 times slower where the right-hand side is transposed in name
    only. The barrier keeps the transpose an operation of its own, which XLA does once for a whole
    loop.
    """
    return jax.lax.optimization_barrier(jnp.swapaxes(matrix, -1, -2))
