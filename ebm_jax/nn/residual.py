"""Residual blocks of SN-GAN (Miyato et al., ICLR 2018), as Hat EBM uses them (NeurIPS 2022)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.conv import Conv

_XAVIER = nn.initializers.xavier_uniform()


def conv(features: int, size: int, dtype: jnp.dtype, name: str, *, halve: bool = False) -> Conv:
    """A convolution of stride 1 that keeps the side, or halves it by means of 2×2 positions."""
    return Conv(features, (size, size), halve=halve, kernel_init=_XAVIER, dtype=dtype, name=name)


def halve(x: jax.Array) -> jax.Array:
    """[B, H, W, C] → [B, H/2, W/2, C], means of 2×2 pixels."""
    return nn.avg_pool(x, (2, 2), (2, 2))


def double(x: jax.Array) -> jax.Array:
    """[B, H, W, C] → [B, 2H, 2W, C], bilinear between pixel centres."""
    b, h, w, c = x.shape
    return jax.image.resize(x, (b, 2 * h, 2 * w, c), "bilinear")


class DownBlock(nn.Module):
    """ReLU–conv3–ReLU–conv3(–average pool) + (conv1(–average pool)): [B, H, W, C] → [B, ·, ·, D].

    The shortcut is the identity where neither side nor channels change.

    Attributes:
      features: D.
      down: whether the side is halved.
      first: the block is next to the image: no ReLU before it.
    """

    features: int
    down: bool = False
    first: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = x if self.first else nn.relu(x)
        h = conv(self.features, 3, self.dtype, "conv_0")(h)
        h = conv(self.features, 3, self.dtype, "conv_1", halve=self.down)(nn.relu(h))
        if self.down or x.shape[-1] != self.features:
            # Pooling and a 1×1 convolution commute; after the pool it is a quarter of the work.
            x = conv(self.features, 1, self.dtype, "shortcut")(halve(x) if self.down else x)
        return x + h


class UpBlock(nn.Module):
    """BN–ReLU–bilinear × 2–conv3–BN–ReLU–conv3 + (bilinear × 2–conv1): [B, H, W, C] → [B, ·, ·, D].

    Attributes:
      features: D.
      up: whether the side is doubled.
      first: the block is next to the latents: no BN–ReLU before it.
      train: batch statistics in place of the stored ones, which they move.
      axis_name: mapped axis over which batch statistics are taken, or None.
    """

    features: int
    up: bool = True
    first: bool = False
    train: bool = False
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        h = x if self.first else nn.relu(normalise(self, "norm_0")(x))
        h = conv(self.features, 3, self.dtype, "conv_0")(double(h) if self.up else h)
        h = nn.relu(normalise(self, "norm_1")(h))
        h = conv(self.features, 3, self.dtype, "conv_1")(h)
        if self.up or x.shape[-1] != self.features:
            # They commute here too; before the resize it is a quarter of the work.
            x = conv(self.features, 1, self.dtype, "shortcut")(x)
            x = double(x) if self.up else x
        return x + h


def normalise(module: nn.Module, name: str) -> nn.BatchNorm:
    """Batch normalisation of a module with `train`, `axis_name` and `dtype`.

    With stored statistics that nothing has moved, mean 0 and variance 1, it is a learned affine
    map: what the released code of Hat EBM has.
    """
    return nn.BatchNorm(
        use_running_average=not module.train,
        momentum=0.9,
        axis_name=module.axis_name if module.train else None,
        dtype=module.dtype,
        name=name,
    )
