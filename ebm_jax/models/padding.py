"""Images padded to a side that nets can halve: 28 pixels to 32."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Padding(NamedTuple):
    """A side and the power of two that it is padded to, pixels."""

    side: int
    padded: int

    @property
    def before(self) -> int:
        """Pixels in front of the image."""
        return (self.padded - self.side) // 2

    def pad(self, x: jax.Array) -> jax.Array:
        """[B, side, side, C] → [B, padded, padded, C], black (−1) around the image."""
        around = (self.before, self.padded - self.side - self.before)
        return jnp.pad(x, ((0, 0), around, around, (0, 0)), constant_values=-1.0)

    def cut(self, x: jax.Array) -> jax.Array:
        """[B, padded, padded, C] → [B, side, side, C]."""
        rows = slice(self.before, self.before + self.side)
        return x[:, rows, rows]


def to_power_of_two(side: int) -> Padding:
    """The padding of images of this side."""
    return Padding(side, 1 << (side - 1).bit_length())
