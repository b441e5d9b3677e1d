"""What is static about a convolution: its geometry, and which kind of convolution that makes it."""

from typing import NamedTuple

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

    @property
    def adjoint(self) -> "Geometry":
        """The convolution from y to x whose transpose this is (with its kernel turned round)."""
        padding = tuple(
            (taps - 1 - low, size + taps - 2 - (outputs - 1) * stride - (taps - 1 - low))
            if stride > 1 and not self.transposed
            else (taps - 1 - low, taps - 1 - high)
            for size, taps, stride, outputs, (low, high) in zip(
                self.input_size,
                self.kernel_size,
                self.strides,
                self.output_size,
                self.padding,
                strict=True,
            )
        )
        transposed = not self.transposed and self.strides != (1, 1)
        return Geometry(transposed, self.output_size, self.kernel_size, self.strides, padding)


def kind_of(g: Geometry, channels: int, features: int) -> str:
    """The key of `convolution_forms.FORMS` for a geometry with C_in and C_out channels."""
    if g.groups > 1:
        depthwise = g.groups == channels == features and g.strides == (1, 1)
        return "depthwise" if depthwise and not g.transposed else "grouped"
    if g.is_pointwise:
        return "pointwise"
    if g.is_from_one_pixel and g.transposed:
        return "from_one_pixel"
    if g.strides == (1, 1) and not g.transposed:
        return "ordinary"
    large = g.output_size if g.transposed else g.input_size
    axes = zip(large, g.strides, g.kernel_size, strict=True)
    even = all(size % stride == 0 and taps >= stride for size, stride, taps in axes)
    return ("transposed" if g.transposed else "strided") + ("" if even else "_ragged")
