"""Forms of the three passes of a convolution: the same numbers, at very different speeds on a CPU.

Each function takes (a, b, geometry), where the pair (a, b) is

    forward   (x, kernel)        → y
    input     (kernel, dy)       → dx
    kernel    (x, dy)            → dkernel

with x [B, H, W, C_in], y [B, H', W', C_out], kernel [kh, kw, C_in / groups, C_out]. `FORMS` lists
them by kind of convolution and pass; "lax" is always there and serves every geometry.
"""

from collections.abc import Callable

import jax

from ebm_jax.nn import convolution_plain as plain
from ebm_jax.nn import convolution_products as products
from ebm_jax.nn import convolution_transposed as transposed
from ebm_jax.nn import convolution_windows as windows
from ebm_jax.nn.convolution_geometry import Geometry

Form = Callable[[jax.Array, jax.Array, Geometry], jax.Array]

FORMS: dict[str, dict[str, dict[str, Form]]] = {
    "ordinary": {
        "forward": {"lax": plain.forward, "patches": windows.patches_forward},
        "input": {
            "lax": plain.input_gradient,
            "taps": transposed.taps_input,
            "turned": transposed.turned_input,
        },
        "kernel": {
            "lax": plain.kernel_gradient,
            "swapped": plain.swapped_kernel_gradient,
            "input_patches": windows.input_patches_kernel,
            "output_patches": windows.output_patches_kernel,
        },
    },
    "pointwise": {
        "forward": {"lax": plain.forward, "matmul": products.pointwise_forward},
        "input": {"lax": plain.input_gradient, "matmul": products.pointwise_input},
        "kernel": {"lax": plain.kernel_gradient, "matmul": products.pointwise_kernel},
    },
    "depthwise": {
        "forward": {"lax": plain.forward, "shifts": windows.shifts_forward},
        "input": {"lax": plain.input_gradient, "shifts": windows.shifts_input},
        "kernel": {"lax": plain.kernel_gradient, "shifts": windows.shifts_kernel},
    },
    "transposed": {
        "forward": {
            "lax": plain.forward,
            "phases": transposed.phases_forward,
            "products": transposed.products_forward,
        },
        "input": {
            "lax": plain.input_gradient,
            "taps": transposed.taps_input,
            "turned": transposed.turned_input,
        },
        "kernel": {
            "lax": plain.kernel_gradient,
            "adjoint": transposed.adjoint_kernel,
            "taps": transposed.taps_kernel,
        },
    },
    "from_one_pixel": {
        "forward": {"lax": plain.forward, "matmul": products.pixel_forward},
        "input": {"lax": plain.input_gradient, "matmul": products.pixel_input},
        "kernel": {"lax": plain.kernel_gradient, "matmul": products.pixel_kernel},
    },
    "strided": {
        "forward": {"lax": plain.forward, "patches": windows.patches_forward},
        "input": {
            "lax": plain.input_gradient,
            "phases": transposed.phases_input,
            "products": transposed.products_input,
        },
        "kernel": {
            "lax": plain.kernel_gradient,
            "swapped": plain.swapped_kernel_gradient,
            "input_patches": windows.input_patches_kernel,
        },
    },
    # Phases of unequal sizes, or without any tap.
    "strided_ragged": {
        "forward": {"lax": plain.forward, "patches": windows.patches_forward},
        "input": {"lax": plain.input_gradient},
        "kernel": {
            "lax": plain.kernel_gradient,
            "swapped": plain.swapped_kernel_gradient,
            "input_patches": windows.input_patches_kernel,
        },
    },
    "transposed_ragged": {
        "forward": {"lax": plain.forward},
        "input": {"lax": plain.input_gradient, "turned": transposed.turned_input},
        "kernel": {
            "lax": plain.kernel_gradient,
            "adjoint": transposed.adjoint_kernel,
            "taps": transposed.taps_kernel,
        },
    },
    "grouped": {
        "forward": {"lax": plain.forward},
        "input": {"lax": plain.input_gradient},
        "kernel": {"lax": plain.kernel_gradient},
    },
}
