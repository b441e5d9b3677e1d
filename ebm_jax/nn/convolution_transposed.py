"""Forms of transposed convolutions, and of the input gradients of others, which are such.

Arguments and results are those of `convolution_forms`.
"""

import itertools

import jax
import jax.numpy as jnp

from ebm_jax.nn import convolution_plain as plain
from ebm_jax.nn.convolution_geometry import Geometry
from ebm_jax.nn.dense import transposed as _transposed

_NHWC = ("NHWC", "HWIO", "NHWC")


def phases_forward(x, kernel, g: Geometry):
    """One ordinary convolution per output phase, with every stride-th tap, then interleaved.

    Output position o = s·q + r meets the taps k ≡ low − r (mod s) only; the others fall on the
    zeros that the dilation puts between input positions.
    """

    def along(axis, phase):
        """(first tap, (low, high) padding) of `phase` along an axis."""
        stride, taps, (low, _) = g.strides[axis], g.kernel_size[axis], g.padding[axis]
        size, outputs = g.input_size[axis], g.output_size[axis]
        first = (low - phase) % stride
        used = len(range(first, taps, stride))
        before = -((phase + first - low) // stride)
        return first, (before, outputs // stride - 1 + used - before - size)

    def phase(r, c):
        (top, rows_padding), (left, columns_padding) = along(0, r), along(1, c)
        taps = kernel[top :: g.strides[0], left :: g.strides[1]]
        padding = (rows_padding, columns_padding)
        return jax.lax.conv_general_dilated(x, taps, (1, 1), padding, dimension_numbers=_NHWC)

    return _interleave(phase, g)


def _interleave(phase, g: Geometry):
    """y from `phase(r, c)`: its positions (s·q + r, s·q + c), [B, H' / s, W' / s, C_out]."""
    rows = [
        jnp.stack([phase(r, c) for c in range(g.strides[1])], axis=3) for r in range(g.strides[0])
    ]
    y = jnp.stack(rows, axis=2)  # [B, H' / s, s, W' / s, s, C_out]
    return y.reshape(y.shape[0], *g.output_size, y.shape[-1])


def products_forward(x, kernel, g: Geometry):
    """One matrix product per tap with x as it lies in memory; what comes out is moved and added.

    Input position m meets output s·m + low − k: position m + (low − k − r) / s of its phase r.
    """
    pixels, zero = plain.columns(x), jnp.zeros((), x.dtype)

    def along(axis, phase):
        """(tap, padding that moves its product into place) of `phase`'s taps along an axis."""
        stride, (low, _) = g.strides[axis], g.padding[axis]
        size, positions = g.input_size[axis], g.output_size[axis] // stride
        for tap in range((low - phase) % stride, g.kernel_size[axis], stride):
            by = (low - tap - phase) // stride
            yield tap, (by, positions - size - by, 0)

    def phase(r, c):
        total = 0.0
        for (i, rows), (j, columns) in itertools.product(along(0, r), along(1, c)):
            product = (pixels @ kernel[i, j]).reshape(*x.shape[:-1], -1)
            total += jax.lax.pad(product, zero, ((0, 0, 0), rows, columns, (0, 0, 0)))
        return total

    return _interleave(phase, g)


def _turned(kernel):
    """Turned round and transposed, in memory: the barrier lets XLA do it once for a whole loop."""
    return jax.lax.optimization_barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))


def turned_input(kernel, dy, g: Geometry):
    """The adjoint convolution of dy. As a chain's step `lax` would turn the kernel every time."""
    return plain.forward(dy, _turned(kernel), g.adjoint)


def phases_input(kernel, dy, g: Geometry):
    """For strided convolutions: the adjoint is a transposed one."""
    return phases_forward(dy, _turned(kernel), g.adjoint)


def products_input(kernel, dy, g: Geometry):
    """For strided convolutions: nearly always their fastest input pass on a CPU."""
    return products_forward(dy, _turned(kernel), g.adjoint)


def adjoint_kernel(x, dy, g: Geometry):
    """The kernel's gradient of the adjoint, at which XLA:CPU is faster."""
    return jnp.flip(plain.swapped_kernel_gradient(dy, x, g.adjoint), (0, 1)).swapaxes(2, 3)


def taps_input(kernel, dy, g: Geometry):
    """One matrix product per tap, each of them transposed in memory (once for a whole loop)."""
    dx = 0.0
    for tap, met in _met_by_taps(dy, g):
        dx += met @ _transposed(kernel[tap])
    return dx.reshape(dy.shape[0], *g.input_size, kernel.shape[2])


def _met_by_taps(dy, g: Geometry):
    """(tap, the pixels of dy that each input position meets through it, [B·H·W, C_out]).

    Input position m meets output s·m − k + low.
    """
    before, after = zip(
        *(
            (max(0, taps - 1 - low), max(0, stride * (size - 1) + low - (outputs - 1)))
            for size, taps, stride, (low, _), outputs in zip(
                g.input_size, g.kernel_size, g.strides, g.padding, g.output_size, strict=True
            )
        ),
        strict=True,
    )
    dy = jnp.pad(dy, ((0, 0), *zip(before, after, strict=True), (0, 0)))
    (rows, columns), (down, across) = g.input_size, g.strides
    for i, j in itertools.product(*map(range, g.kernel_size)):
        top, left = g.padding[0][0] - i + before[0], g.padding[1][0] - j + before[1]
        met = jax.lax.slice(
            dy,
            (0, top, left, 0),
            (
                dy.shape[0],
                top + down * (rows - 1) + 1,
                left + across * (columns - 1) + 1,
                dy.shape[3],
            ),
            (1, down, across, 1),
        )
        yield (i, j), plain.columns(met)


def taps_kernel(x, dy, g: Geometry):
    """One matrix product [C_in, positions] × [positions, C_out] per tap."""

    def along(axis, tap):
        """First and last input position that `tap` meets, and the output position of the first."""
        stride, low = g.strides[axis], g.padding[axis][0]
        first = max(0, -((low - tap) // stride))
        last = min(g.input_size[axis], (g.output_size[axis] - 1 - low + tap) // stride + 1)
        return first, last, stride * first - tap + low

    def product(i, j):
        (top, bottom, from_row), (left, right, from_column) = along(0, i), along(1, j)
        if bottom <= top or right <= left:
            return jnp.zeros((x.shape[-1], dy.shape[-1]), x.dtype)
        (down, across), (batch, _, _, channels) = g.strides, dy.shape
        stop = (from_row + down * (bottom - top - 1) + 1,)
        stop += (from_column + across * (right - left - 1) + 1,)
        met = jax.lax.slice(
            dy, (0, from_row, from_column, 0), (batch, *stop, channels), (1, down, across, 1)
        )
        return plain.columns(x[:, top:bottom, left:right]).T @ plain.columns(met)

    taps = [product(i, j) for i, j in itertools.product(*map(range, g.kernel_size))]
    return jnp.stack(taps).reshape(*g.kernel_size, x.shape[-1], dy.shape[-1])
