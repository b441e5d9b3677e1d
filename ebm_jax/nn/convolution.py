"""Convolutions that are fast on every backend: plain `lax` ones, but for the forms of their passes.

On a GPU or TPU every pass is `lax.conv_general_dilated`. On a CPU the form of each pass (forward,
gradient to the input, gradient to the kernel) is that of the nearest shape in
`convolution_times.json`, a table of measurements (`python -m benchmarks.run --suite convolutions`
makes it); but kernel gradients by `lax`, slow within loops, are left to kinds without another form.
The choice falls when a program is lowered for its backend.
"""

import functools
import json
import math
from importlib import resources

import jax

from ebm_jax.nn.convolution_forms import FORMS
from ebm_jax.nn.convolution_geometry import Geometry, kind_of

# (pixels read by the kernel's taps, C_in, C_out, taps): what a pass's time depends on.
Shape = tuple[int, int, int, int]


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "SAME",
    groups: int = 1,
) -> jax.Array:
    """Convolution of x [B, H, W, C_in] with kernel [kh, kw, C_in / groups, C_out].

    Differentiable once, in reverse mode.

    Args:
      x: images.
      kernel: as `flax.linen.Conv`'s.
      strides: of the window.
      padding: "SAME", "VALID", or ((top, bottom), (left, right)).
      groups: of channels; C_in = C_out = groups is a depthwise convolution.

    Returns:
      [B, H', W', C_out].
    """
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:3], kernel.shape[:2], strides, padding)
    return _convolve(x, kernel, _geometry(False, x, kernel, strides, padding, groups))


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str | tuple[tuple[int, int], tuple[int, int]] = "SAME",
) -> jax.Array:
    """Transposed convolution as `jax.lax.conv_transpose`, with the kernel as it is.

    Differentiable once, in reverse mode.

    Args:
      x: [B, H, W, C_in].
      kernel: [kh, kw, C_in, C_out], not turned round, as `flax.linen.ConvTranspose`'s.
      strides: of the output.
      padding: "SAME" (output = input × stride), "VALID", or ((top, bottom), (left, right)) around
        the dilated input.

    Returns:
      [B, H', W', C_out].
    """
    if isinstance(padding, str):
        padding = tuple(
            _transpose_padding(taps, stride, padding)
            for taps, stride in zip(kernel.shape[:2], strides, strict=True)
        )
    return _convolve(x, kernel, _geometry(True, x, kernel, strides, padding, 1))


def _transpose_padding(taps, stride, padding):
    """`jax.lax.conv_transpose`'s convention."""
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"padding is '{padding}'; use 'SAME', 'VALID' or pairs of numbers.")
    if padding == "VALID":
        total, low = taps + stride - 2 + max(taps - stride, 0), taps - 1
    else:
        total = taps + stride - 2
        low = taps - 1 if stride > taps - 1 else math.ceil(total / 2)
    return low, total - low


def _geometry(transposed, x, kernel, strides, padding, groups):
    padding = tuple((int(low), int(high)) for low, high in padding)
    return Geometry(
        transposed, x.shape[1:3], kernel.shape[:2], tuple(strides), padding, int(groups)
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolve(x, kernel, geometry):
    return _dispatch("forward", geometry, x, kernel, x.shape[0], x.shape[-1], kernel.shape[-1])


def _convolve_forward(x, kernel, geometry):
    return _convolve(x, kernel, geometry), (x, kernel)


def _convolve_backward(geometry, residuals, dy):
    x, kernel = residuals
    sizes = x.shape[0], x.shape[-1], kernel.shape[-1]
    dx = _dispatch("input", geometry, kernel, dy, *sizes)
    return dx, _dispatch("kernel", geometry, x, dy, *sizes)


_convolve.defvjp(_convolve_forward, _convolve_backward)


def _dispatch(which, geometry, a, b, batch, channels, features):
    forms = FORMS[kind_of(geometry, channels, features)][which]
    name = choose(which, geometry, batch, channels, features)
    fast = functools.partial(forms[name], g=geometry)
    if name == "lax":
        return fast(a, b)
    plain = functools.partial(forms["lax"], g=geometry)
    return jax.lax.platform_dependent(a, b, cpu=fast, default=plain)


@functools.cache
def choose(which: str, geometry: Geometry, batch: int, channels: int, features: int) -> str:
    """The name of the form that a CPU uses: the fastest at the nearest shape in the table.

    Where nothing was measured it is the first; for kernel gradients never `lax`, if there is
    another.

    Args:
      which: forward | input | kernel.
      geometry: of the convolution.
      batch, channels, features: B, C_in and C_out.
    """
    kind = kind_of(geometry, channels, features)
    forms = FORMS[kind][which]
    rows = [row for row in measured_times() if (row["kind"], row["pass"]) == (kind, which)]
    if which == "kernel":  # a trap within loops, see `swapped_kernel_gradient`
        forms = {name: form for name, form in forms.items() if name != "lax"} or forms
    if len(forms) == 1 or not rows:
        return next(iter(forms))
    here = shape_of(geometry, batch, channels, features)

    def distance(row):
        return sum(abs(math.log2(a / b)) for a, b in zip(here, row["shape"], strict=True))

    times = min(rows, key=distance)["ms"]
    return min((name for name in forms if name in times), key=times.get)


def shape_of(geometry: Geometry, batch: int, channels: int, features: int) -> Shape:
    """What the table knows a convolution by: (positions, C_in, C_out, taps)."""
    rows, columns = geometry.input_size if geometry.transposed else geometry.output_size
    return batch * rows * columns, channels, features, math.prod(geometry.kernel_size)


@functools.cache
def measured_times() -> list[dict]:
    """The rows of `convolution_times.json`: kind, pass, shape, {form: milliseconds}."""
    table = resources.files("ebm_jax.nn").joinpath("convolution_times.json")
    return json.loads(table.read_text())["rows"]
