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
      dtype: of the computation; parameters are float32.
    """

    features: int
    kernel_size: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"
    groups: int = 1
    use_bias: bool = True
    kernel_init: Callable = nn.initializers.lecun_normal()
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        y = conv(x, kernel, strides=self.strides, padding=self.padding, groups=self.groups)
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


def _add_bias(layer, y):
    if not layer.use_bias:
        return y
    bias = layer.param("bias", nn.initializers.zeros, (layer.features,))
    return y + bias.astype(y.dtype).reshape(1, 1, 1, -1)
