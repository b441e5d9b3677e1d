"""Bottom layer of the inference net, q(z_1|x): images → (mean, log std)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import leaky_relu
from ebm_jax.nn.conv import Conv
from ebm_jax.nn.dense import Dense


class ConvInference(nn.Module):
    """Conv k3, then k4 s2 for every further width, then one full-size kernel (CVPR 2023).

    `channels` (256, 512, 1024) at 32 px is the CIFAR-10 net (its last kernel is 8×8).
    """

    out: int
    channels: tuple[int, ...]
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:  # [B, H, W, C] in [-1, 1]
        init = nn.initializers.xavier_normal()
        x = Conv(self.channels[0], (3, 3), kernel_init=init, dtype=self.dtype)(x)
        x = leaky_relu(x)
        for width in self.channels[1:]:
            x = Conv(width, (4, 4), (2, 2), kernel_init=init, dtype=self.dtype)(x)
            x = leaky_relu(x)
        x = x.reshape(x.shape[0], -1)  # a kernel as large as the map
        return Dense(self.out, kernel_init=init, dtype=self.dtype)(x).astype(jnp.float32)
