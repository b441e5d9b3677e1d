"""Ladder generator and ladder inference net (ICCV 2023): every layer of latents meets the image at
its own scale.

    h_L = g_L(z_L),  h_i = g_i([z_i, h_{i+1}]),  x from h_1
    r_i = h_i(r_{i−1}),  r_0 = x,  q(z_i|x) from r_i
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import leaky_relu
from ebm_jax.nn.conv import Conv, ConvTranspose
from ebm_jax.nn.dense import Dense

_XAVIER = nn.initializers.xavier_normal()


def _leaky_relu_01(x: jax.Array) -> jax.Array:
    """Slope 0.01, that of the paper's inference nets."""
    return nn.leaky_relu(x, 0.01)


class ConvLadderGenerator(nn.Module):
    """Maps that double their side from layer to layer, z_i entering next to h_{i+1}.

    Attributes:
      image_size: side of the image; the top map's is image_size / 2^(L − 1).
      out_channels: of the result.
      channels: of the map at which z_i enters, i = 1 … L − 1, bottom first; the top map has the
        last of them.
      width: of the dense layers above the top map.
      combine: "concat" joins z_i's map to h_{i+1}, then convolutions k3, k4 s2, k3 (the paper's
        L = 5 model); "add" sums the two, then one k4 s2 (its L = 4 model).
      last: channels of h_1 with "concat"; with "add" h_1 is the image.
    """

    image_size: int
    out_channels: int
    channels: tuple[int, ...]
    width: int
    combine: str
    last: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z: tuple[jax.Array, ...]) -> jax.Array:  # [B, D_i] each, bottom first
        def dense(width, x):
            return leaky_relu(Dense(width, kernel_init=_XAVIER, dtype=self.dtype)(x))

        def conv(width, x, up=False):
            options = dict(use_bias=False, kernel_init=_XAVIER, dtype=self.dtype)
            if up:
                return ConvTranspose(width, (4, 4), (2, 2), **options)(x)
            # k3 s1 p1 transposed is an ordinary convolution with the kernel turned round.
            return Conv(width, (3, 3), **options)(x)

        levels = len(self.channels)
        side = self.image_size // 2**levels
        h = dense(self.width, z[-1])
        if self.combine == "concat":
            h = dense(self.width, h)
        h = dense(side * side * self.channels[-1], h)
        h = h.reshape(-1, side, side, self.channels[-1])
        for i in reversed(range(levels)):
            entering = dense(side * side * self.channels[i], z[i]).reshape(h.shape)
            below = self.channels[i - 1] if i else self.last
            side *= 2
            if self.combine == "add":
                h = conv(below if i else self.out_channels, h + entering, up=True)
                h = leaky_relu(h) if i else h
            else:
                h = leaky_relu(conv(self.channels[i], jnp.concatenate([h, entering], axis=-1)))
                h = leaky_relu(conv(below, h, up=True))
                h = leaky_relu(conv(below, h))
        if self.combine == "concat":
            h = conv(self.out_channels, h)
        return h.astype(jnp.float32)


class ConvLadderInference(nn.Module):
    """A pair of convolutions (k4 s2, k3) per layer, each feeding its heads and the next pair.

    Attributes:
      sizes: of the latents, bottom first.
      channels: of each layer's convolutions; the top layer has k4 s2 alone and a dense layer.
      width: of that dense layer.
    """

    sizes: tuple[int, ...]
    channels: tuple[int, ...]
    width: int
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ...]:
        """[B, H, W, C] in [-1, 1] → (mean, log variance) of every layer, [B, D_i] each."""
        heads = []
        for i, (size, width) in enumerate(zip(self.sizes, self.channels, strict=True)):
            options = dict(use_bias=False, kernel_init=_XAVIER, dtype=self.dtype)
            x = _leaky_relu_01(Conv(width, (4, 4), (2, 2), **options)(x))
            if i < len(self.sizes) - 1:
                x = _leaky_relu_01(Conv(width, (3, 3), **options)(x))
            found = x.reshape(x.shape[0], -1)
            if i == len(self.sizes) - 1:
                dense = Dense(self.width, kernel_init=_XAVIER, dtype=self.dtype)
                found = _leaky_relu_01(dense(found))
            heads.append(_heads(size, found, self.dtype))
        return tuple(heads)


class MLPLadderGenerator(nn.Module):
    """The ladder in dense layers: h_i has `widths[i]` units, the image follows from h_1."""

    image_size: int
    out_channels: int
    widths: tuple[int, ...]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z: tuple[jax.Array, ...]) -> jax.Array:  # [B, D_i] each, bottom first
        h = jnp.zeros((z[0].shape[0], 0), self.dtype)
        for i in reversed(range(len(z))):
            below = jnp.concatenate([z[i].astype(self.dtype), h], axis=-1)
            h = leaky_relu(Dense(self.widths[i], kernel_init=_XAVIER, dtype=self.dtype)(below))
        shape = (self.image_size, self.image_size, self.out_channels)
        pixels = shape[0] * shape[1] * shape[2]
        image = Dense(pixels, kernel_init=_XAVIER, dtype=self.dtype)(h)
        return image.reshape(-1, *shape).astype(jnp.float32)


class MLPLadderInference(nn.Module):
    """The inference ladder in dense layers: r_i has `widths[i]` units."""

    sizes: tuple[int, ...]
    widths: tuple[int, ...]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], ...]:
        """[B, H, W, C] in [-1, 1] → (mean, log variance) of every layer, [B, D_i] each."""
        heads, r = [], x.reshape(x.shape[0], -1)
        for size, width in zip(self.sizes, self.widths, strict=True):
            r = _leaky_relu_01(Dense(width, kernel_init=_XAVIER, dtype=self.dtype)(r))
            heads.append(_heads(size, r, self.dtype))
        return tuple(heads)


def _heads(size, x, dtype):
    mean, log_variance = (
        Dense(size, kernel_init=_XAVIER, dtype=dtype)(x).astype(jnp.float32) for _ in range(2)
    )
    return mean, log_variance
