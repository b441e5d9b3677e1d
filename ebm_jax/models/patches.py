"""Between images and their patches: nets that work on squares of pixels as positions."""

import jax


def to_patches(x: jax.Array, side: int) -> jax.Array:
    """[B, H, W, C] → [B, H / side, W / side, side² C]: each square of pixels in one position."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // side, side, width // side, side, channels)
    return x.swapaxes(2, 3).reshape(batch, height // side, width // side, -1)


def from_patches(x: jax.Array, side: int) -> jax.Array:
    """[B, h, w, side² C] → [B, h · side, w · side, C], the way back."""
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height, width, side, side, channels // side**2)
    return x.swapaxes(2, 3).reshape(batch, height * side, width * side, -1)
