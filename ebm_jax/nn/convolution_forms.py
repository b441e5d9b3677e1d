"""Forms of the three passes of a convolution: the same numbers, at very different speeds on a CPU.

Each function takes (a, b, geometry), where the pair (a, b) is

    forward   (x, kernel)        → y
    input     (kernel, dy)       → dx
    kernel    (x, dy)            → dkernel

with x [B, H, W, C_in], y [B, H', W', C_out], kernel [kh, kw, C_in / groups, C_out]. `FORMS` lists
them by kind of convolution and pass; "lax" is always there and serves every geometry.
"""

import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ebm_jax.nn.convolution_geometry import Geometry
from ebm_jax.nn.dense import transposed as _transposed

_NHWC = ("NHWC", "HWIO", "NHWC")

# The reference.


def _lax_forward(x, kernel, g: Geometry):
    window, dilation = ((1, 1), g.strides) if g.transposed else (g.strides, (1, 1))
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window,
        g.padding,
        lhs_dilation=dilation,
        dimension_numbers=_NHWC,
        feature_group_count=g.groups,
    )


def _lax_input(kernel, dy, g: Geometry):
    """By differentiating the forward pass: linear in x, so no x is needed."""
    channels = kernel.shape[2] * g.groups
    shape = jax.ShapeDtypeStruct((dy.shape[0], *g.input_size, channels), dy.dtype)
    return jax.linear_transpose(lambda x: _lax_forward(x, kernel, g), shape)(dy)[0]


def _lax_kernel(x, dy, g: Geometry):
    shape = (*g.kernel_size, x.shape[-1] // g.groups, dy.shape[-1])
    kernel = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(lambda kernel: _lax_forward(x, kernel, g), kernel)(dy)[0]


# Transposed convolutions.


def _phases_forward(x, kernel, g: Geometry):
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


def _products_forward(x, kernel, g: Geometry):
    """One matrix product per tap with x as it lies in memory; what comes out is moved and added.

    Input position m meets output s·m + low − k: position m + (low − k − r) / s of its phase r.
    """
    pixels, zero = _columns(x), jnp.zeros((), x.dtype)

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


def _adjoint(g: Geometry) -> Geometry:
    """The convolution from y to x whose transpose `g` is (its kernel is turned round)."""
    padding = tuple(
        (taps - 1 - low, size + taps - 2 - (outputs - 1) * stride - (taps - 1 - low))
        if stride > 1 and not g.transposed
        else (taps - 1 - low, taps - 1 - high)
        for size, taps, stride, outputs, (low, high) in zip(
            g.input_size, g.kernel_size, g.strides, g.output_size, g.padding, strict=True
        )
    )
    transposed = not g.transposed and g.strides != (1, 1)
    return Geometry(transposed, g.output_size, g.kernel_size, g.strides, padding)


def _turned(kernel):
    """Turned round and transposed, in memory: the barrier lets XLA do it once for a whole loop."""
    return jax.lax.optimization_barrier(jnp.flip(kernel, (0, 1)).swapaxes(2, 3))


def _turned_input(kernel, dy, g: Geometry):
    """The adjoint convolution of dy. As a chain's step `lax` would turn the kernel every time."""
    return _lax_forward(dy, _turned(kernel), _adjoint(g))


def _phases_input(kernel, dy, g: Geometry):
    """For strided convolutions: the adjoint is a transposed one."""
    return _phases_forward(dy, _turned(kernel), _adjoint(g))


def _products_input(kernel, dy, g: Geometry):
    """For strided convolutions: nearly always their fastest input pass on a CPU."""
    return _products_forward(dy, _turned(kernel), _adjoint(g))


def _adjoint_kernel(x, dy, g: Geometry):
    """The kernel's gradient of the adjoint: XLA:CPU is 5 to 20 times faster at it."""
    return jnp.flip(_lax_kernel(dy, x, _adjoint(g)), (0, 1)).swapaxes(2, 3)


def _taps_input(kernel, dy, g: Geometry):
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
        yield (i, j), _columns(met)


def _taps_kernel(x, dy, g: Geometry):
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
        return _columns(x[:, top:bottom, left:right]).T @ _columns(met)

    taps = [product(i, j) for i, j in itertools.product(*map(range, g.kernel_size))]
    return jnp.stack(taps).reshape(*g.kernel_size, x.shape[-1], dy.shape[-1])


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


def _pixel_forward(x, kernel, g: Geometry):
    y = jnp.flip(_for_all_taps(x, g.kernel_size) @ _taps_in_a_row(kernel), 0)  # [taps, B, C_out]
    return jnp.moveaxis(y, 0, 1).reshape(x.shape[0], *g.output_size, kernel.shape[-1])


def _pixel_input(kernel, dy, g: Geometry):
    products = _per_tap(dy) @ _transposed(_taps_in_a_row(kernel))  # [taps, B, C_in]
    return products.sum(axis=0)[:, None, None]


def _pixel_kernel(x, dy, g: Geometry):
    kernel = jnp.einsum("tbi,tbo->tio", _for_all_taps(x, g.kernel_size), _per_tap(dy))
    return kernel.reshape(*g.kernel_size, x.shape[-1], dy.shape[-1])


# Ordinary convolutions.


def _columns(x):
    """[..., C] → [positions, C]."""
    return x.reshape(-1, x.shape[-1])


def _pointwise_forward(x, kernel, g: Geometry):
    return (_columns(x) @ kernel[0, 0]).reshape(*x.shape[:-1], kernel.shape[-1])


def _pointwise_input(kernel, dy, g: Geometry):
    return (_columns(dy) @ _transposed(kernel[0, 0])).reshape(*dy.shape[:-1], kernel.shape[2])


def _pointwise_kernel(x, dy, g: Geometry):
    return (_columns(x).T @ _columns(dy))[None, None]


def _patches(x, g: Geometry):
    """Windows of x: [B, H', W', kh·kw·C], C fastest."""
    (height, width), (down, across) = g.output_size, g.strides
    x = jnp.pad(x, ((0, 0), *g.padding, (0, 0)))
    windows = [
        x[:, i : i + down * (height - 1) + 1 : down, j : j + across * (width - 1) + 1 : across]
        for i, j in itertools.product(*map(range, g.kernel_size))
    ]
    return jnp.concatenate(windows, axis=-1)


def _patches_forward(x, kernel, g: Geometry):
    """One product of all windows: where there are few positions and many channels, XLA:CPU's
    convolution is up to 100 times slower."""
    y = _columns(_patches(x, g)) @ kernel.reshape(-1, kernel.shape[-1])
    return y.reshape(x.shape[0], *g.output_size, -1)


def _input_patches_kernel(x, dy, g: Geometry):
    """Windows of x against dy, example by example: for few input channels."""
    windows = _patches(x, g)
    windows = windows.reshape(x.shape[0], -1, windows.shape[-1])
    gradient = jnp.einsum("bpi,bpo->bio", windows, dy.reshape(dy.shape[0], -1, dy.shape[-1]))
    return gradient.sum(axis=0).reshape(*g.kernel_size, x.shape[-1], dy.shape[-1])


def _output_patches_kernel(x, dy, g: Geometry):
    """Windows of dy against x: for few output channels, stride 1."""
    padding = _adjoint(g).padding
    windows = _patches(dy, Geometry(False, g.output_size, g.kernel_size, (1, 1), padding))
    gradient = _columns(windows).T @ _columns(x)  # [kh·kw·C_out, C_in]
    gradient = gradient.reshape(*g.kernel_size, dy.shape[-1], x.shape[-1])
    return jnp.flip(gradient, (0, 1)).swapaxes(2, 3)


# Depthwise convolutions (one channel per group), stride 1.


def _shifts_forward(x, kernel, g: Geometry):
    """Σ over taps of the shifted input times the tap: one fused loop."""
    x, (height, width) = jnp.pad(x, ((0, 0), *g.padding, (0, 0))), g.output_size
    return sum(
        x[:, i : i + height, j : j + width] * kernel[None, i, None, j]
        for i, j in itertools.product(*map(range, g.kernel_size))
    )


def _shifts_input(kernel, dy, g: Geometry):
    padding = _adjoint(g).padding
    back = Geometry(False, g.output_size, g.kernel_size, (1, 1), padding, g.groups)
    return _shifts_forward(dy, jnp.flip(kernel, (0, 1)), back)


def _shifts_kernel(x, dy, g: Geometry):
    """A tap at a time under one scan: fused, every tap would re-read all of both operands.

    The sum over positions is a product with ones, which is faster than XLA's sums.
    """
    ones = jnp.ones((1, math.prod(dy.shape[:-1])), dy.dtype)
    x, columns = jnp.pad(x, ((0, 0), *g.padding, (0, 0))), g.kernel_size[1]

    def tap(_, number):
        start = (0, number // columns, number % columns, 0)
        return None, ones @ _columns(jax.lax.dynamic_slice(x, start, dy.shape) * dy)

    taps = jax.lax.scan(tap, None, jnp.arange(g.kernel_size[0] * columns))[1]
    return taps.reshape(*g.kernel_size, 1, dy.shape[-1])


Form = Callable[[jax.Array, jax.Array, Geometry], jax.Array]

FORMS: dict[str, dict[str, dict[str, Form]]] = {
    "ordinary": {
        "forward": {"lax": _lax_forward, "patches": _patches_forward},
        "input": {
            "lax": _lax_input,
            "taps": _taps_input,
            "turned": _turned_input,
        },
        "kernel": {
            "lax": _lax_kernel,
            "input_patches": _input_patches_kernel,
            "output_patches": _output_patches_kernel,
        },
    },
    "pointwise": {
        "forward": {"lax": _lax_forward, "matmul": _pointwise_forward},
        "input": {"lax": _lax_input, "matmul": _pointwise_input},
        "kernel": {"lax": _lax_kernel, "matmul": _pointwise_kernel},
    },
    "depthwise": {
        "forward": {"lax": _lax_forward, "shifts": _shifts_forward},
        "input": {"lax": _lax_input, "shifts": _shifts_input},
        "kernel": {"lax": _lax_kernel, "shifts": _shifts_kernel},
    },
    "transposed": {
        "forward": {
            "lax": _lax_forward,
            "phases": _phases_forward,
            "products": _products_forward,
        },
        "input": {
            "lax": _lax_input,
            "taps": _taps_input,
            "turned": _turned_input,
        },
        "kernel": {"lax": _lax_kernel, "adjoint": _adjoint_kernel, "taps": _taps_kernel},
    },
    "from_one_pixel": {
        "forward": {"lax": _lax_forward, "matmul": _pixel_forward},
        "input": {"lax": _lax_input, "matmul": _pixel_input},
        "kernel": {"lax": _lax_kernel, "matmul": _pixel_kernel},
    },
    "strided": {
        "forward": {"lax": _lax_forward, "patches": _patches_forward},
        "input": {"lax": _lax_input, "phases": _phases_input, "products": _products_input},
        "kernel": {"lax": _lax_kernel, "input_patches": _input_patches_kernel},
    },
    # Phases of unequal sizes, or without any tap.
    "strided_ragged": {
        "forward": {"lax": _lax_forward, "patches": _patches_forward},
        "input": {"lax": _lax_input},
        "kernel": {"lax": _lax_kernel, "input_patches": _input_patches_kernel},
    },
    "transposed_ragged": {
        "forward": {"lax": _lax_forward},
        "input": {"lax": _lax_input, "turned": _turned_input},
        "kernel": {"lax": _lax_kernel, "adjoint": _adjoint_kernel, "taps": _taps_kernel},
    },
    "grouped": {
        "forward": {"lax": _lax_forward},
        "input": {"lax": _lax_input},
        "kernel": {"lax": _lax_kernel},
    },
}
