"""A perceptron that knows the level of a diffusion (ICML 2024)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.dense import Dense

EMBEDDING = 128  # numbers a level is embedded in


def embed_time(t: jax.Array, size: int = EMBEDDING) -> jax.Array:
    """Sines and cosines of an integer at wavelengths from 2π to 2π · 10⁴: [B] → [B, size]."""
    frequencies = jnp.exp(-math.log(1e4) * jnp.arange(size // 2) / (size // 2 - 1))
    angles = t[:, None].astype(jnp.float32) * frequencies[None]
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class TimedMLP(nn.Module):
    """Residual perceptron with SiLU and no biases: ([B, ...], t [B]) → [B, 1].

    The embedded level goes through two layers and is added to the first layer and in each block.

    Attributes:
      hidden: widths; the first is of the layer next to the input, each other one of a block.
      zero_init_last: start as the constant 0.
      dtype: of the computation; parameters and the result are float32.
    """

    hidden: tuple[int, ...]
    zero_init_last: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array) -> jax.Array:
        def dense(width, name, **settings):
            xavier = nn.initializers.xavier_normal()
            settings = {"kernel_init": xavier, **settings}
            return Dense(width, use_bias=False, dtype=self.dtype, name=name, **settings)

        level = dense(self.hidden[0], "level_0")(embed_time(t))
        level = nn.silu(dense(self.hidden[0], "level_1")(nn.silu(level)))
        h = dense(self.hidden[0], "input")(x.reshape(x.shape[0], -1))
        h += dense(self.hidden[0], "input_level")(level)
        for i, width in enumerate(self.hidden[1:]):
            inner = dense(width, f"block_{i}_0")(nn.silu(h))
            inner += dense(width, f"block_{i}_level")(level)
            inner = dense(width, f"block_{i}_1")(nn.silu(inner))
            h = inner + (h if h.shape[1] == width else dense(width, f"block_{i}_shortcut")(h))
        settings = {"kernel_init": nn.initializers.zeros} if self.zero_init_last else {}
        return dense(1, "last", **settings)(nn.silu(h)).astype(jnp.float32)
