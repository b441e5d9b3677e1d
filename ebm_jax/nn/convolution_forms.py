"""Forms of the three passes of a convolution: the same numbers, at very different speeds on a CPU.

Each function takes (a, b, geometry), where the pair (a, b) is

    forward   (x, kernel)        → y
    input     (kernel, dy)       → dx
    kernel    (x, dy)            → dkernel

with x [B, H, W, C_in], y [B, H', W', C_out], kernel [kh, kw, C_in / groups, C_out]. `FORMS` lists
them by kind of convolution and pass; "lax" is always there and serves every geometry.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

_NHWC = ("NHWC", "HWIO", "NHWC")
Pair = tuple[int, int]


class Geometry(NamedTuple):
    """What is static about a convolution; hashable.

    Attributes:
      transposed: whether `strides` dilate the input (a transposed convolution) or the window.
      input_size, kernel_size, strides: (rows, columns).
      padding: ((top, bottom), (left, right)) around the input, for a transposed convolution around
        the dilated one.
      groups: of channels.
    """

    transposed: bool
    input_size: Pair
    kernel_size: Pair
    strides: Pair
    padding: tuple[Pair, Pair]
    groups: int = 1

    @property
    def output_size(self) -> Pair:
        sizes = []
        axes = zip(self.input_size, self.kernel_size, self.strides, self.padding, strict=True)
        for size, taps, stride, (low, high) in axes:
            if self.transposed:
                sizes.append((size - 1) * stride + 1 + low + high - taps + 1)
            else:
                sizes.append((size + low + high - taps) // stride + 1)
        return tuple(sizes)

    @property
    def is_pointwise(self) -> bool:
        """A matrix product at every position."""
        unit = self.kernel_size == self.strides == (1, 1) and self.padding == ((0, 0), (0, 0))
        return unit and self.groups == 1

    @property
    def is_from_one_pixel(self) -> bool:
        """Every output position is one matrix product of the only input position."""
        full = tuple((taps - 1, taps - 1) for taps in self.kernel_size)
        return self.input_size == (1, 1) and self.padding == full and self.groups == 1


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


def _input_by(forward):
    """dx by differentiating a forward form: linear in x, so no x is needed."""

    def run(kernel, dy, g: Geometry):
        channels = kernel.shape[2] * g.groups
        shape = jax.ShapeDtypeStruct((dy.shape[0], *g.input_size, channels), dy.dtype)
        return jax.linear_transpose(lambda x: forward(x, kernel, g), shape)(dy)[0]

    return run


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

    rows = []
    for r in range(g.strides[0]):
        row = []
        for c in range(g.strides[1]):
            (top, rows_padding), (left, columns_padding) = along(0, r), along(1, c)
            taps = kernel[top :: g.strides[0], left :: g.strides[1]]
            padding = (rows_padding, columns_padding)
            row.append(
                jax.lax.conv_general_dilated(x, taps, (1, 1), padding, dimension_numbers=_NHWC)
            )
        rows.append(jnp.stack(row, axis=3))  # [B, H, W, s, C]
    return jnp.stack(rows, axis=2).reshape(x.shape[0], *g.output_size, kernel.shape[-1])


def _adjoint(g: Geometry) -> Geometry:
    """The ordinary convolution from y to x whose transpose `g` is (its kernel is turned round)."""
    padding = tuple(
        (taps - 1 - low, taps - 1 - high)
        for taps, (low, high) in zip(g.kernel_size, g.padding, strict=True)
    )
    return Geometry(False, g.output_size, g.kernel_size, g.strides, padding)


def _adjoint_kernel(x, dy, g: Geometry):
    """The kernel's gradient of the adjoint: XLA:CPU is 5 to 20 times faster at it."""
    return jnp.flip(_lax_kernel(dy, x, _adjoint(g)), (0, 1)).swapaxes(2, 3)


def _taps_input(kernel, dy, g: Geometry):
    """One matrix product per tap, with the tap as it lies in memory.

    Inside a loop XLA:CPU would turn a kernel round at every step, on one core; a product takes its
    right-hand side transposed for nothing. Input position m meets output s·m − k + low.
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
    dx = 0.0
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
        dx += _columns(met) @ kernel[i, j].T
    return dx.reshape(dy.shape[0], rows, columns, kernel.shape[2])


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


def _per_position(kernel):
    """[kh, kw, C_in, C_out] → [positions, C_in, C_out]; output position o meets tap k − 1 − o."""
    return jnp.flip(kernel, (0, 1)).reshape(-1, *kernel.shape[2:])


def _pixel_forward(x, kernel, g: Geometry):
    weights = _per_position(kernel)
    rows = jnp.broadcast_to(x[:, 0, 0], (weights.shape[0], x.shape[0], x.shape[-1]))
    y = jnp.moveaxis(rows @ weights, 0, 1)  # [B, positions, C_out]
    return y.reshape(x.shape[0], *g.output_size, kernel.shape[-1])


def _pixel_input(kernel, dy, g: Geometry):
    weights = _per_position(kernel)
    rows = jnp.moveaxis(dy.reshape(dy.shape[0], -1, dy.shape[-1]), 1, 0)  # [positions, B, C_out]
    return jnp.einsum("pbo,pio->pbi", rows, weights).sum(axis=0)[:, None, None]


def _pixel_kernel(x, dy, g: Geometry):
    rows = jnp.moveaxis(dy.reshape(dy.shape[0], -1, dy.shape[-1]), 1, 0)
    left = jnp.broadcast_to(x[:, 0, 0], (rows.shape[0], x.shape[0], x.shape[-1]))
    per_position = jnp.einsum("pbi,pbo->pio", left, rows)
    return jnp.flip(per_position.reshape(*g.kernel_size, x.shape[-1], -1), (0, 1))


# Ordinary convolutions.


def _columns(x):
    """[..., C] → [positions, C]."""
    return x.reshape(-1, x.shape[-1])


def _pointwise_forward(x, kernel, g: Geometry):
    return (_columns(x) @ kernel[0, 0]).reshape(*x.shape[:-1], kernel.shape[-1])


def _pointwise_input(kernel, dy, g: Geometry):
    return (_columns(dy) @ kernel[0, 0].T).reshape(*dy.shape[:-1], kernel.shape[2])


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
    """A tap at a time under one scan: fused, every tap would re-read all of both operands."""
    x, columns = jnp.pad(x, ((0, 0), *g.padding, (0, 0))), g.kernel_size[1]

    def tap(_, number):
        start = (0, number // columns, number % columns, 0)
        return None, jnp.sum(_columns(jax.lax.dynamic_slice(x, start, dy.shape) * dy), axis=0)

    taps = jax.lax.scan(tap, None, jnp.arange(g.kernel_size[0] * columns))[1]
    return taps.reshape(*g.kernel_size, 1, dy.shape[-1])


Form = Callable[[jax.Array, jax.Array, Geometry], jax.Array]

FORMS: dict[str, dict[str, dict[str, Form]]] = {
    "ordinary": {
        "forward": {"lax": _lax_forward},
        "input": {"lax": _input_by(_lax_forward), "taps": _taps_input},
        "kernel": {
            "lax": _lax_kernel,
            "input_patches": _input_patches_kernel,
            "output_patches": _output_patches_kernel,
        },
    },
    "pointwise": {
        "forward": {"lax": _lax_forward, "matmul": _pointwise_forward},
        "input": {"lax": _input_by(_lax_forward), "matmul": _pointwise_input},
        "kernel": {"lax": _lax_kernel, "matmul": _pointwise_kernel},
    },
    "depthwise": {
        "forward": {"lax": _lax_forward, "shifts": _shifts_forward},
        "input": {"lax": _input_by(_lax_forward), "shifts": _shifts_input},
        "kernel": {"lax": _lax_kernel, "shifts": _shifts_kernel},
    },
    "transposed": {
        "forward": {"lax": _lax_forward, "phases": _phases_forward},
        "input": {
            "lax": _input_by(_lax_forward),
            "phases": _input_by(_phases_forward),
            "taps": _taps_input,
        },
        "kernel": {"lax": _lax_kernel, "adjoint": _adjoint_kernel, "taps": _taps_kernel},
    },
    "from_one_pixel": {
        "forward": {"lax": _lax_forward, "matmul": _pixel_forward},
        "input": {"lax": _input_by(_lax_forward), "matmul": _pixel_input},
        "kernel": {"lax": _lax_kernel, "matmul": _pixel_kernel},
    },
    "strided": {
        "forward": {"lax": _lax_forward},
        "input": {"lax": _input_by(_lax_forward)},
        "kernel": {"lax": _lax_kernel, "input_patches": _input_patches_kernel},
    },
    "transposed_ragged": {  # phases of unequal sizes, or without any tap
        "forward": {"lax": _lax_forward},
        "input": {"lax": _input_by(_lax_forward)},
        "kernel": {"lax": _lax_kernel, "adjoint": _adjoint_kernel, "taps": _taps_kernel},
    },
    "grouped": {
        "forward": {"lax": _lax_forward},
        "input": {"lax": _input_by(_lax_forward)},
        "kernel": {"lax": _lax_kernel},
    },
}


def kind_of(g: Geometry, channels: int, features: int) -> str:
    """The key of FORMS for a geometry with C_in and C_out channels."""
    if g.groups > 1:
        depthwise = g.groups == channels == features and g.strides == (1, 1)
        return "depthwise" if depthwise and not g.transposed else "grouped"
    if g.transposed:
        if g.is_from_one_pixel:
            return "from_one_pixel"
        axes = zip(g.output_size, g.strides, g.kernel_size, strict=True)
        even = all(size % stride == 0 and taps >= stride for size, stride, taps in axes)
        return "transposed" if even else "transposed_ragged"
    if g.is_pointwise:
        return "pointwise"
    return "ordinary" if g.strides == (1, 1) else "strided"
