"""Generators: latents → raw likelihood parameters [B, H, W, out_channels]."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import leaky_relu
from ebm_jax.nn.conv import Conv, ConvTranspose
from ebm_jax.nn.mlp import MLP


class MLPGenerator(nn.Module):
    """For small grey images: one MLP to all pixels."""

    image_size: int
    out_channels: int
    hidden: tuple[int, ...]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:  # [B, D]
        side = self.image_size
        x = MLP(self.hidden, side * side * self.out_channels, dtype=self.dtype)(z)
        return x.reshape(-1, side, side, self.out_channels)


class ConvGenerator(nn.Module):
    """Transposed convolutions from 1×1, each after the first doubling the side (CVPR 2023).

    `channels` (1024, 512, 256) at 32 px is the CIFAR-10 model: k8 s1 p0 to 8×8, two k4 s2 p1,
    then k3 s1 p1 to the image. The first map's side follows from the image's.
    """

    image_size: int
    out_channels: int
    channels: tuple[int, ...]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:  # [B, D]
        init = nn.initializers.xavier_normal()
        side = self.image_size // 2 ** (len(self.channels) - 1)
        x = z[:, None, None, :]
        x = ConvTranspose(
            self.channels[0], (side, side), padding="VALID", kernel_init=init, dtype=self.dtype
        )(x)
        x = leaky_relu(x)
        for width in self.channels[1:]:
            x = ConvTranspose(width, (4, 4), (2, 2), kernel_init=init, dtype=self.dtype)(x)
            x = leaky_relu(x)
        # k3 s1 p1 transposed is an ordinary convolution with the kernel turned round.
        x = Conv(self.out_channels, (3, 3), kernel_init=init, dtype=self.dtype)(x)
        return x.astype(jnp.float32)
