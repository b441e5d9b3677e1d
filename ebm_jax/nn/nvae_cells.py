"""Residual cells of NVAE (Vahdat and Kautz, NeurIPS 2020): skip + 0.1 · body."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import silu
from ebm_jax.nn.conv import Conv
from ebm_jax.nn.dense import Dense
from ebm_jax.nn.residual import double, halve, normalise

_BODY = 0.1  # weight of the body


class EncoderCell(nn.Module):
    """2 × (BN–SiLU–conv3), squeeze and excitation: [B, H, W, C] → [B, ·, ·, features].

    Attributes:
      features: channels of the result.
      down: whether the side is halved.
      train, axis_name: of batch normalisation, see `residual.UpBlock`.
      dtype: of the computation; parameters are float32.
    """

    features: int
    down: bool = False
    train: bool = False
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = silu(normalise(self, "norm_0")(x))
        h = Conv(self.features, (3, 3), dtype=self.dtype, name="conv_0", halve=self.down)(h)
        h = silu(normalise(self, "norm_1")(h))
        h = Conv(self.features, (3, 3), dtype=self.dtype, name="conv_1")(h)
        skip = halve(x) if self.down else x
        return _joined(self, skip, h)


class DecoderCell(nn.Module):
    """BN–conv1 × 6–BN–SiLU–depthwise conv5–BN–SiLU–conv1–BN, squeeze and excitation.

    [B, H, W, C] → [B, ·, ·, features].

    Attributes:
      features: channels of the result.
      up: whether the side is doubled.
      expansion: channels of the depthwise convolution, in those of the input.
      train, axis_name, dtype: as `EncoderCell`'s.
    """

    features: int
    up: bool = False
    expansion: int = 6
    train: bool = False
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = double(x) if self.up else x
        wide = self.expansion * x.shape[-1]

        def pointwise(features, name):
            return Conv(features, (1, 1), use_bias=False, dtype=self.dtype, name=name)

        h = pointwise(wide, "expand")(normalise(self, "norm_0")(x))
        h = silu(normalise(self, "norm_1")(h))
        settings = dict(groups=wide, use_bias=False, dtype=self.dtype, name="depthwise")
        h = silu(normalise(self, "norm_2")(Conv(wide, (5, 5), **settings)(h)))
        h = normalise(self, "norm_3")(pointwise(self.features, "reduce")(h))
        return _joined(self, x, h)


def _joined(module, skip, body):
    """skip + 0.1 · squeeze and excitation of the body; a convolution where channels change."""
    if skip.shape[-1] != module.features:
        skip = Conv(module.features, (1, 1), dtype=module.dtype, name="shortcut")(skip)
    squeezed = max(module.features // 16, 4)
    gate = nn.relu(Dense(squeezed, dtype=module.dtype, name="squeeze")(body.mean(axis=(1, 2))))
    gate = nn.sigmoid(Dense(module.features, dtype=module.dtype, name="excite")(gate))
    return skip + _BODY * body * gate[:, None, None, :]
