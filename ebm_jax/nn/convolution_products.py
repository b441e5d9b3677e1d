"""Forms of convolutions that are matrix products: 1 × 1 kernels, and inputs of one pixel.

Arguments and results are those of `convolution_forms`.
"""

import math

import jax.numpy as jnp

from ebm_jax.nn import convolution_plain as plain
from ebm_jax.nn.convolution_geometry import Geometry
from ebm_jax.nn.dense import transposed as _transposed

# 1 × 1 kernels.


def pointwise_forward(x, kernel, g: Geometry):
    """[positions, C_in] × [C_in, C_out]."""
    return (plain.columns(x) @ kernel[0, 0]).reshape(*x.shape[:-1], kernel.shape[-1])


def pointwise_input(kernel, dy, g: Geometry):
    """[positions, C_out] × [C_out, C_in], the kernel transposed in memory."""
    return (plain.columns(dy) @ _transposed(kernel[0, 0])).reshape(*dy.shape[:-1], kernel.shape[2])


def pointwise_kernel(x, dy, g: Geometry):
    """[C_in, positions] × [positions, C_out]."""
    return (plain.columns(x).T @ plain.columns(dy))[None, None]


# From one pixel, k × k taps: a batch of matrix products, one per output position.


def _per_tap(y):
    """[B, kh, kw, C_out] → [taps, B, C_out]; output position o meets tap k − 1 − o."""
    rows = jnp.moveaxis(y.reshape(y.shape[0], -1, y.shape[-1]), 1, 0)
    return jnp.flip(rows, 0)  # rather than the kernel, which is larger


def _taps_in_a_row(kernel):
    return kernel.reshape(-1, *kernel.shape[2:])


def _for_all_taps(x, kernel_size):
    """[taps, B, C_in]: the one pixel of each image, once for every tap."""
    return jnp.broadcast_to(x[:, 0, 0], (math.prod(kernel_size), x.shape[0], x.shape[-1]))


def pixel_forward(x, kernel, g: Geometry):
    """[taps, B, C_in] × [taps, C_in, C_out]: an output position per tap."""
    y = jnp.flip(_for_all_taps(x, g.kernel_size) @ _taps_in_a_row(kernel), 0)  # [taps, B, C_out]
    return jnp.moveaxis(y, 0, 1).reshape(x.shape[0], *g.output_size, kernel.shape[-1])


def pixel_input(kernel, dy, g: Geometry):
    """[taps, B, C_out] × [taps, C_out, C_in], summed over taps."""
    products = _per_tap(dy) @ _transposed(_taps_in_a_row(kernel))  # [taps, B, C_in]
    return products.sum(axis=0)[:, None, None]


def pixel_kernel(x, dy, g: Geometry):
    """[taps, C_in, B] × [taps, B, C_out]."""
    kernel = jnp.einsum("tbi,tbo->tio", _for_all_taps(x, g.kernel_size), _per_tap(dy))
    return kernel.reshape(*g.kernel_size, x.shape[-1], dy.shape[-1])
