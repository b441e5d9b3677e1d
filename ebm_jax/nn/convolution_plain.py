"""The three passes of a convolution as `lax` has them: the reference, for every geometry;
and the kernel gradient with its axes in XLA:CPU's order.

Arguments and results are those of `convolution_forms`.
"""

import jax

from ebm_jax.nn.convolution_geometry import Geometry

_NHWC = ("NHWC", "HWIO", "NHWC")


def forward(x, kernel, g: Geometry):
    """One `lax` convolution."""
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


def input_gradient(kernel, dy, g: Geometry):
    """By differentiating the forward pass: linear in x, so no x is needed."""
    channels = kernel.shape[2] * g.groups
    shape = jax.ShapeDtypeStruct((dy.shape[0], *g.input_size, channels), dy.dtype)
    return jax.linear_transpose(lambda x: forward(x, kernel, g), shape)(dy)[0]


def kernel_gradient(x, dy, g: Geometry):
    """Likewise linear in the kernel."""
    shape = (*g.kernel_size, x.shape[-1] // g.groups, dy.shape[-1])
    kernel = jax.ShapeDtypeStruct(shape, x.dtype)
    return jax.linear_transpose(lambda kernel: forward(x, kernel, g), kernel)(dy)[0]


def swapped_kernel_gradient(x, dy, g: Geometry):
    """Channels of x as its batch: what XLA:CPU makes of `kernel_gradient`, but not within loops.

    There (steps of one dispatch, parts of a batch) `kernel_gradient` is up to 80 times slower.
    For ordinary and strided convolutions without groups.
    """
    axes = zip(g.padding, g.kernel_size, g.strides, g.input_size, dy.shape[1:3], strict=True)
    padding = tuple(
        (low, taps + (outputs - 1) * stride - size - low)
        for (low, _), taps, stride, size, outputs in axes
    )
    swapped = jax.lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        dy.transpose(1, 2, 0, 3),
        (1, 1),
        padding,
        rhs_dilation=g.strides,
        dimension_numbers=_NHWC,
    )
    return swapped.transpose(1, 2, 0, 3)


def columns(x):
    """[..., C] → [positions, C]."""
    return x.reshape(-1, x.shape[-1])
