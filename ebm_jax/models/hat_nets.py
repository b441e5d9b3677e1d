"""Nets of Hat EBM (NeurIPS 2022): SN-GAN's energy and generator, and an autoencoder on a sphere."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.dense import Dense
from ebm_jax.nn.residual import DownBlock, UpBlock, conv, normalise

_XAVIER = nn.initializers.xavier_uniform()


class ResNetEnergy(nn.Module):
    """H, or SN-GAN's discriminator: images [B, H, W, C] → [B].

    The paper's: widths (256, 256, 256, 256) with 2 halvings at 32 px, (64, 128, 256, 512, 1024)
    with 5 at 64 px, another 1024 at 128 px; its energies are means over the last map.

    Attributes:
      widths: channels of the blocks, the first next to the image.
      halvings: the first so many blocks halve the side.
      pool: "mean" or "sum" over the last map (SN-GAN's discriminator: sum).
      bias: whether the last layer has one (SN-GAN's does).
    """

    widths: tuple[int, ...]
    halvings: int
    pool: str = "mean"
    bias: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for i, width in enumerate(self.widths):
            x = DownBlock(width, i < self.halvings, i == 0, self.dtype, name=f"block_{i}")(x)
        x = getattr(nn.relu(x).astype(jnp.float32), self.pool)(axis=(1, 2))
        return Dense(1, use_bias=self.bias, kernel_init=_XAVIER)(x)[:, 0]


class ResNetGenerator(nn.Module):
    """G: latents [B, D] → images [B, side, side, channels] in (−out_factor, out_factor).

    The paper's: first map 4×4×256 and widths (256, 256, 256) at 32 px, 1024 and (512, 256, 128, 64)
    at 64 px, 1024 and (1024, 512, 256, 128, 64) at 128 px.

    Attributes:
      first: channels of the first map.
      widths: channels of the blocks, each of which doubles the side.
      image_size, out_channels: of the image; the first map's side follows.
      out_factor: of the hyperbolic tangent; 2 lets a residual go either way at the range's ends.
      train, axis_name: see `UpBlock`.
    """

    first: int
    widths: tuple[int, ...]
    image_size: int
    out_channels: int
    out_factor: float = 1.0
    train: bool = False
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        side = self.image_size // 2 ** len(self.widths)
        x = Dense(side * side * self.first, kernel_init=_XAVIER, dtype=self.dtype)(z)
        x = x.reshape(-1, side, side, self.first)
        for i, width in enumerate(self.widths):
            settings = (self.train, self.axis_name, self.dtype)
            x = UpBlock(width, True, False, *settings, name=f"block_{i}")(x)
        return to_image(self, x)


class SphereDecoder(nn.Module):
    """Maps of latents [B, h, w, 1] → images [B, 2h, 2w, channels] in (−out_factor, out_factor).

    Attributes:
      width: channels (the paper: 256).
      blocks: residual blocks after the one that doubles the side (the paper: 2).
    """

    width: int
    out_channels: int
    blocks: int = 2
    out_factor: float = 2.0
    train: bool = False
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        settings = (self.train, self.axis_name, self.dtype)
        x = UpBlock(self.width, False, True, *settings, name="stem")(z)
        for i in range(1 + self.blocks):
            x = UpBlock(self.width, i == 0, False, *settings, name=f"block_{i}")(x)
        return to_image(self, x)


class SphereEncoder(nn.Module):
    """Images [B, 2h, 2w, C] → latents [B, h, w, 1] on the sphere of radius √(h·w).

    At 32 px that is the paper's 16 × 16 latents of norm 16.
    """

    width: int
    blocks: int = 2
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = DownBlock(self.width, first=True, dtype=self.dtype, name="stem")(x)
        for i in range(1 + self.blocks):
            x = DownBlock(self.width, i == 0, dtype=self.dtype, name=f"block_{i}")(x)
        return on_sphere(conv(1, 3, self.dtype, "last")(nn.relu(x)).astype(jnp.float32))


def on_sphere(z: jax.Array) -> jax.Array:
    """Latents [B, ...] of D numbers each, scaled to the norm √D: that of a draw of N(0, I)."""
    flat = z.reshape(z.shape[0], -1)
    norm = jnp.linalg.norm(flat, axis=1, keepdims=True)
    return (flat * flat.shape[1] ** 0.5 / jnp.maximum(norm, 1e-12)).reshape(z.shape)


def to_image(module: nn.Module, x: jax.Array) -> jax.Array:
    """BN–ReLU–conv3–tanh × out_factor, of a module with these settings."""
    x = nn.relu(normalise(module, "norm")(x))
    x = conv(module.out_channels, 3, module.dtype, "image")(x)
    return module.out_factor * jnp.tanh(x.astype(jnp.float32))
