"""Forms of convolutions by their windows: one product of all of them, or a shift at a time.

Arguments and results are those of `convolution_forms`.
"""

import itertools
import math

import jax
import jax.numpy as jnp

from ebm_jax.nn import convolution_plain as plain
from ebm_jax.nn.convolution_geometry import Geometry


def _patches(x, g: Geometry):
    """Windows of x: [B, H', W', kh·kw·C], C fastest."""
    (height, width), (down, across) = g.output_size, g.strides
    x = jnp.pad(x, ((0, 0), *g.padding, (0, 0)))
    windows = [
        x[:, i : i + down * (height - 1) + 1 : down, j : j + across * (width - 1) + 1 : across]
        for i, j in itertools.product(*map(range, g.kernel_size))
    ]
    return jnp.concatenate(windows, axis=-1)


def patches_forward(x, kernel, g: Geometry):
    """One product of all windows: where there are few positions and many channels, XLA:CPU's
    convolution is up to 100 times slower."""
    y = plain.columns(_patches(x, g)) @ kernel.reshape(-1, kernel.shape[-1])
    return y.reshape(x.shape[0], *g.output_size, -1)


def input_patches_kernel(x, dy, g: Geometry):
    """Windows of x against dy, example by example: for few input channels."""
    windows = _patches(x, g)
    windows = windows.reshape(x.shape[0], -1, windows.shape[-1])
    gradient = jnp.einsum("bpi,bpo->bio", windows, dy.reshape(dy.shape[0], -1, dy.shape[-1]))
    return gradient.sum(axis=0).reshape(*g.kernel_size, x.shape[-1], dy.shape[-1])


def output_patches_kernel(x, dy, g: Geometry):
    """Windows of dy against x: for few output channels, stride 1."""
    padding = g.adjoint.padding
    windows = _patches(dy, Geometry(False, g.output_size, g.kernel_size, (1, 1), padding))
    gradient = plain.columns(windows).T @ plain.columns(x)  # [kh·kw·C_out, C_in]
    gradient = gradient.reshape(*g.kernel_size, dy.shape[-1], x.shape[-1])
    return jnp.flip(gradient, (0, 1)).swapaxes(2, 3)


# Depthwise convolutions (one channel per group), stride 1.


def shifts_forward(x, kernel, g: Geometry):
    """Σ over taps of the shifted input times the tap: one fused loop."""
    x, (height, width) = jnp.pad(x, ((0, 0), *g.padding, (0, 0))), g.output_size
    return sum(
        x[:, i : i + height, j : j + width] * kernel[None, i, None, j]
        for i, j in itertools.product(*map(range, g.kernel_size))
    )


def shifts_input(kernel, dy, g: Geometry):
    """The shifts back, of dy."""
    padding = g.adjoint.padding
    back = Geometry(False, g.output_size, g.kernel_size, (1, 1), padding, g.groups)
    return shifts_forward(dy, jnp.flip(kernel, (0, 1)), back)


def shifts_kernel(x, dy, g: Geometry):
    """A tap at a time under one scan: fused, every tap would re-read all of both operands.

    The sum over positions is a product with ones, which is faster than XLA's sums.
    """
    ones = jnp.ones((1, math.prod(dy.shape[:-1])), dy.dtype)
    x, columns = jnp.pad(x, ((0, 0), *g.padding, (0, 0))), g.kernel_size[1]

    def tap(_, number):
        start = (0, number // columns, number % columns, 0)
        return None, ones @ plain.columns(jax.lax.dynamic_slice(x, start, dy.shape) * dy)

    taps = jax.lax.scan(tap, None, jnp.arange(g.kernel_size[0] * columns))[1]
    return taps.reshape(*g.kernel_size, 1, dy.shape[-1])
