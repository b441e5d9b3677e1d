"""The layers of the 2015 Inception graph on [B, H, W, C], with batch norm folded into them.

Weights are pairs (kernel [kh, kw, C_in, C_out], bias [C_out]).
"""

import functools

import jax
import jax.numpy as jnp

Weights = tuple[jax.Array, jax.Array]


def conv(x: jax.Array, weights: Weights, stride: int = 1, padding: str = "SAME") -> jax.Array:
    """relu(x * kernel + bias): the graph's only kind of convolution.

    Args:
      x: [B, H, W, C_in].
      weights: kernel and bias.
      stride: of both axes.
      padding: "SAME" or "VALID".

    Returns:
      [B, H', W', C_out].
    """
    kernel, bias = weights
    y = jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return jax.nn.relu(y + bias.reshape(1, 1, 1, -1))


def branches(x: jax.Array, *weights: Weights, pooled: bool = False) -> list[jax.Array]:
    """Parallel 1×1 convolutions of one input, as one matrix product.

    A 1×1 convolution and an average over positions commute, so the branch behind an average pool
    is averaged after its convolution, where it has fewer channels.

    Args:
      x: [B, H, W, C_in].
      weights: of each branch.
      pooled: whether the last branch has an average pool before its convolution.

    Returns:
      relu of each branch, [B, H, W, C_out] each.
    """
    kernel = jnp.concatenate([kernel for kernel, _ in weights], axis=-1)[0, 0]  # [C_in, ΣC_out]
    ends = [sum(bias.shape[0] for _, bias in weights[:i]) for i in range(1, len(weights))]
    parts = jnp.split(jnp.einsum("bhwi,io->bhwo", x, kernel), ends, axis=-1)
    if pooled:
        parts[-1] = average_pool(parts[-1])
    return [
        jax.nn.relu(part + bias.reshape(1, 1, 1, -1))
        for part, (_, bias) in zip(parts, weights, strict=True)
    ]


def average_pool(x: jax.Array) -> jax.Array:
    """Mean of the 3×3 neighbours that exist: padding is not counted. [B, H, W, C] → the same."""
    total = x
    for axis in (1, 2):
        total = _at(total, axis, -1) + total + _at(total, axis, 1)
    counts = [3.0 - (jnp.arange(n) == 0) - (jnp.arange(n) == n - 1) for n in x.shape[1:3]]
    return total / (counts[0][:, None] * counts[1][None]).astype(x.dtype)[None, :, :, None]


def _at(x: jax.Array, axis: int, offset: int) -> jax.Array:
    """x[i + offset] along an axis, 0 beyond the edge."""
    pad = [(0, 0)] * x.ndim
    pad[axis] = (max(-offset, 0), max(offset, 0))
    start = max(offset, 0)
    return jax.lax.slice_in_dim(jnp.pad(x, pad), start, start + x.shape[axis], axis=axis)


def max_pool(x: jax.Array) -> jax.Array:
    """Largest of 3×3, stride 2, without padding: [B, H, W, C] → [B, (H-1)//2, (W-1)//2, C]."""
    for axis in (1, 2):
        count = (x.shape[axis] - 1) // 2
        x = functools.reduce(
            jnp.maximum,
            [jax.lax.slice_in_dim(x, i, i + 2 * count - 1, 2, axis) for i in range(3)],
        )
    return x


def max_pool_same(x: jax.Array) -> jax.Array:
    """Largest of the 3×3 neighbours, stride 1. [B, H, W, C] → the same."""
    for axis in (1, 2):
        pad = [(0, 0)] * x.ndim
        pad[axis] = (1, 1)
        padded = jnp.pad(x, pad, constant_values=-jnp.inf)
        x = functools.reduce(
            jnp.maximum,
            [jax.lax.slice_in_dim(padded, i, i + x.shape[axis], 1, axis) for i in range(3)],
        )
    return x


def position_mean(x: jax.Array) -> jax.Array:
    """[B, H, W, C] → [B, C]."""
    return jnp.mean(x, axis=(1, 2))
