"""Energies of maps of latents: of a hierarchical VAE's group, and of one at a level of noise."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import leaky_relu, silu
from ebm_jax.nn.conv import Conv
from ebm_jax.nn.mlp import MLP
from ebm_jax.nn.residual import halve
from ebm_jax.nn.timed import (
    XAVIER,
    dense_without_bias,
    embed_level,
    last_layer,
    residual_block,
)


class MapEnergy(nn.Module):
    """n × (conv k4 s2 p1–leaky ReLU), n × linear, linear: [B, h, h, c] → [B, 1] (CVPR 2023).

    n is 1 for maps of 8 × 8 and smaller, 2 for 16, 3 for 32 and so on; maps are of 2 × 2 or more.
    With the level of a diffusion, t [B], its embedding is added before every leaky ReLU.

    Attributes:
      channels: of the convolutions (the paper: 64).
      width: of the linear layers (the paper: 200).
      zero_init_last: start as the constant 0.
      dtype: of the computation; parameters and the result are float32.
    """

    channels: int
    width: int
    zero_init_last: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array | None = None) -> jax.Array:
        depth = max(x.shape[1].bit_length() - 3, 1)
        dense = dense_without_bias(self.dtype)
        level = None if t is None else embed_level(dense, self.width, t)
        for i in range(depth):
            settings = dict(strides=(2, 2), padding=((1, 1), (1, 1)), kernel_init=XAVIER)
            x = Conv(self.channels, (4, 4), **settings, dtype=self.dtype)(x)
            if t is not None:
                x += dense(self.channels, f"conv_{i}_level")(level)[:, None, None]
            x = leaky_relu(x)
        mlp = MLP((self.width,) * depth, 1, self.zero_init_last, self.dtype)
        if t is None:
            return mlp(x)
        return mlp(x, [dense(self.width, f"dense_{i}_level")(level) for i in range(depth)])


class TimedMapEnergy(nn.Module):
    """Residual blocks that halve down to 2 × 2, two residual blocks of vectors, linear (ICML 2024).

    SiLU and no biases; the embedded level is added to the first layer and in each block.
    ([B, h, h, c], t [B]) → [B, 1].

    Attributes: as `MapEnergy`'s.
    """

    channels: int
    width: int
    zero_init_last: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array) -> jax.Array:
        def conv(size, name):
            settings = dict(use_bias=False, kernel_init=XAVIER, dtype=self.dtype, name=name)
            return Conv(self.channels, (size, size), **settings)

        dense = dense_without_bias(self.dtype)
        level = embed_level(dense, self.width, t)
        h = conv(3, "input")(x) + dense(self.channels, "input_level")(level)[:, None, None]
        for i in range(max(x.shape[1].bit_length() - 2, 0)):
            inner = conv(3, f"down_{i}_0")(silu(h))
            inner += dense(self.channels, f"down_{i}_level")(level)[:, None, None]
            inner = conv(3, f"down_{i}_1")(silu(inner))
            h = halve(h + inner)
        h = dense(self.width, "flat")(silu(h).reshape(h.shape[0], -1))
        for i in range(2):
            h = residual_block(dense, self.width, h, level, f"block_{i}")
        return last_layer(dense, 1, self.zero_init_last)(silu(h)).astype(jnp.float32)
