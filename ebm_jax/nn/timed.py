"""A perceptron that knows the level of a diffusion (ICML 2024)."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import silu
from ebm_jax.nn.dense import Dense

EMBEDDING = 128  # numbers a level is embedded in
_XAVIER = nn.initializers.xavier_normal()


class TimedMLP(nn.Module):
    """Residual perceptron with SiLU and no biases: ([B, ...], t [B]) → [B, out].

    The embedded level goes through two layers and is added to the first layer and in each block.

    Attributes:
      hidden: widths; the first is of the layer next to the input, each other one of a block.
      out: outputs.
      zero_init_last: start as the constant 0.
      dtype: of the computation; parameters and the result are float32.
    """

    hidden: tuple[int, ...]
    out: int = 1
    zero_init_last: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, t: jax.Array) -> jax.Array:
        def dense(width, name, kernel_init=_XAVIER):
            settings = dict(use_bias=False, kernel_init=kernel_init, dtype=self.dtype, name=name)
            return Dense(width, **settings)

        level = embed_level(dense, self.hidden[0], t)
        h = dense(self.hidden[0], "input")(x.reshape(x.shape[0], -1))
        h += dense(self.hidden[0], "input_level")(level)
        for i, width in enumerate(self.hidden[1:]):
            h = residual_block(dense, width, h, level, f"block_{i}")
        last = nn.initializers.zeros if self.zero_init_last else _XAVIER
        return dense(self.out, "last", last)(silu(h)).astype(jnp.float32)


def embed_time(t: jax.Array, size: int = EMBEDDING) -> jax.Array:
    """Sines and cosines of an integer at wavelengths from 2π to 2π · 10⁴: [B] → [B, size].

    Of length 1. At the usual length, √(size / 2), Adam's first steps move all units of a layer
    together, by their level, faster than each by its input, and energies of maps learn nothing in
    hundreds of steps.
    """
    frequencies = jnp.exp(-math.log(1e4) * jnp.arange(size // 2) / (size // 2 - 1))
    angles = t[:, None].astype(jnp.float32) * frequencies[None]
    parts = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return parts / math.sqrt(size // 2)


def embed_level(dense: Callable, width: int, t: jax.Array) -> jax.Array:
    """t [B] → [B, width], by layers of the module that `dense(width, name)` makes them in."""
    level = dense(width, "level_0")(embed_time(t))
    return silu(dense(width, "level_1")(silu(level)))


def residual_block(
    dense: Callable, width: int, h: jax.Array, level: jax.Array, name: str
) -> jax.Array:
    """h + SiLU–linear (+ level)–SiLU–linear: [B, C] → [B, width]; `dense` as above."""
    inner = dense(width, f"{name}_0")(silu(h)) + dense(width, f"{name}_level")(level)
    inner = dense(width, f"{name}_1")(silu(inner))
    return inner + (h if h.shape[1] == width else dense(width, f"{name}_shortcut")(h))
