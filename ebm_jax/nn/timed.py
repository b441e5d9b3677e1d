"""A perceptron that knows the level of a diffusion (ICML 2024)."""

import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import silu
from ebm_jax.nn.dense import Dense

EMBEDDING = 128  # numbers a level is embedded in
XAVIER = nn.initializers.xavier_normal()


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
        dense = dense_without_bias(self.dtype)
        level = embed_level(dense, self.hidden[0], t)
        h = dense(self.hidden[0], "input")(x.reshape(x.shape[0], -1))
        h += dense(self.hidden[0], "input_level")(level)
        for i, width in enumerate(self.hidden[1:]):
            h = residual_block(dense, width, h, level, f"block_{i}")
        return last_layer(dense, self.out, self.zero_init_last)(silu(h)).astype(jnp.float32)


def dense_without_bias(dtype: jnp.dtype) -> Callable[..., Dense]:
    """(width, name, kernel_init=XAVIER) → a linear layer of the module that calls it."""

    def dense(width, name, kernel_init=XAVIER):
        settings = dict(use_bias=False, kernel_init=kernel_init, dtype=dtype, name=name)
        return Dense(width, **settings)

    return dense


def last_layer(dense: Callable[..., Dense], out: int, zero: bool) -> Dense:
    """The layer `last`, of zeros or not, by `dense` as above."""
    return dense(out, "last", nn.initializers.zeros if zero else XAVIER)


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


def embed_level(dense: Callable[..., Dense], width: int, t: jax.Array) -> jax.Array:
    """t [B] → [B, width], by two layers that `dense(width, name)` makes."""
    level = dense(width, "level_0")(embed_time(t))
    return silu(dense(width, "level_1")(silu(level)))


def residual_block(
    dense: Callable[..., Dense], width: int, h: jax.Array, level: jax.Array, name: str
) -> jax.Array:
    """h + SiLU–linear (+ level)–SiLU–linear: [B, C] → [B, width]; `dense` as above."""
    inner = dense(width, f"{name}_0")(silu(h)) + dense(width, f"{name}_level")(level)
    inner = dense(width, f"{name}_1")(silu(inner))
    return inner + (h if h.shape[1] == width else dense(width, f"{name}_shortcut")(h))
