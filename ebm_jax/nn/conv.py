"""Convolutional layers: Flax's parameters and initialisation, our forms of the passes."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.convolution import conv, conv_transpose

Padding = str | tuple[tuple[int, int], tuple[int, int]]


class Conv(nn.Module):
    """[B, H, W, C_in] → [B, H', W', features]; parameters as `flax.linen.Conv`'s.

    Attributes:
      features: C_out.
      kernel_size, strides: (rows, columns).
      padding: "SAME", "VALID", or ((top, bottom), (left, right)).
      groups: of channels; C_in = features = groups is a depthwise convolution.
      halve: means of 2×2 positions of the result follow; strides (1, 1) only.
        As one convolution: for a kernel of 3×3 with 16/36 of the products.
      dtype: of the computation; parameters are float32.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    groups: int = 1
    halve: bool = False
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        strides, padding = self.strides, self.padding
        if self.halve:
            if strides != (1, 1):
                raise ValueError(f"strides are {strides}; a layer that halves has (1, 1).")
            if isinstance(padding, str):
                padding = jax.lax.padtype_to_pads(x.shape[1:3], shape[:2], strides, padding)
            kernel, strides = _mean_of_shifts(kernel), (2, 2)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        y = conv(x, kernel, strides=strides, padding=padding, groups=self.groups)
        return _add_bias(self, y)


class ConvTranspose(nn.Module):
    """[B, H, W, C_in] → [B, H', W', features]; parameters as `flax.linen.ConvTranspose`'s.

    Attributes: as `Conv`'s; `strides` enlarge the output, `padding` is around the dilated input.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        return _add_bias(
            self, conv_transpose(x, kernel, strides=self.strides, padding=self.padding)
        )


def _mean_of_shifts(kernel):
    """[kh, kw, C, D] → [kh + 1, kw + 1, C, D]: one output is the mean of 2×2 neighbouring ones."""
    ends = ((0, 1), (1, 0))
    shifted = [
        jnp.pad(kernel, (rows, columns, (0, 0), (0, 0))) for rows in ends for columns in ends
    ]
    return sum(shifted) / 4


def _add_bias(layer, y):
    if not layer.use_bias:
        return y
    bias = layer.param("bias", nn.initializers.zeros, (layer.features,))
    return y + bias.astype(y.dtype).reshape(1, 1, 1, -1)
