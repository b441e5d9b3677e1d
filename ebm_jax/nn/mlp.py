"""Multi-layer perceptron with the initialisation of the latent-EBM papers (Xavier normal)."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.activations import leaky_relu
from ebm_jax.nn.dense import Dense


class MLP(nn.Module):
    """`hidden` layers with leaky ReLU, then a linear layer: [B, ...] → [B, out].

    `shifts`, one [B, width] for each hidden layer, are added before its leaky ReLU.

    Attributes:
      hidden: widths.
      out: outputs.
      zero_init_last: start as the constant 0 (energies: the EBM then starts as its base prior).
      dtype: of the computation; parameters and the result are float32.
    """

    hidden: tuple[int, ...]
    out: int
    zero_init_last: bool = False
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, shifts: Sequence[jax.Array] = ()) -> jax.Array:
        x = x.reshape(x.shape[0], -1)
        xavier = nn.initializers.xavier_normal()
        for i, width in enumerate(self.hidden):
            x = Dense(width, kernel_init=xavier, dtype=self.dtype)(x)
            x = leaky_relu(x + shifts[i] if shifts else x)
        last = nn.initializers.zeros if self.zero_init_last else xavier
        return Dense(self.out, kernel_init=last, dtype=self.dtype)(x).astype(jnp.float32)
