"""Gaussian log densities, summed over everything but the batch axis."""

import jax
import jax.numpy as jnp

LOG_2PI = 1.8378770664093453


def sum_event(x: jax.Array) -> jax.Array:
    """Sums every axis but the first: [B, ...] → [B]."""
    return jnp.sum(x, axis=tuple(range(1, x.ndim)))


def normal_log_prob(x: jax.Array, mean: jax.Array, std: jax.Array) -> jax.Array:
    """log N(x; mean, std²) summed per example.

    Args:
      x, mean: [B, ...].
      std: [B, ...], positive, or a scalar array.

    Returns:
      [B].
    """
    standardised = (x - mean) / std
    return sum_event(-0.5 * (standardised**2 + LOG_2PI) - jnp.broadcast_to(jnp.log(std), x.shape))


def standard_normal_log_prob(x: jax.Array) -> jax.Array:
    """log N(x; 0, I) per example: [B, ...] → [B]."""
    return sum_event(-0.5 * (x**2 + LOG_2PI))


def normal_kl(mean: jax.Array, std: jax.Array, mean_p: jax.Array, std_p: jax.Array) -> jax.Array:
    """KL(N(mean, std²) ‖ N(mean_p, std_p²)) summed per example, in nats: [B, ...] → [B]."""
    ratio = std / std_p
    return sum_event(0.5 * (((mean - mean_p) / std_p) ** 2 + ratio**2 - 1) - jnp.log(ratio))
