"""Attributes coupled with latents: p(y, z) ∝ exp[Σ_a F_a(z)_{y_a} + F(z)] p_0(z) (ICML 2024).

Each attribute y_a is one of some values, and F_a(z) has a number for each (symbol–vector coupling;
Pang and Wu, ICML 2021; the diffusion paper has one attribute and no F beside it). Summed over y the
density has Σ_a log Σ_y exp F_a(z)_y in place of the first sum, and p(y_a|z) is the softmax of
F_a(z).
"""

import jax
import jax.numpy as jnp

Logits = tuple[jax.Array, ...]  # F_a(z) [B, values of a], one for each attribute


def marginal(logits: Logits) -> jax.Array:
    """Σ_a log Σ_y exp F_a(z)_y, [B]."""
    return sum(jax.nn.logsumexp(each, axis=-1) for each in logits)


def log_prob(logits: Logits, values: jax.Array) -> jax.Array:
    """Σ_a log p(y_a|z), [B], over the attributes that have a value.

    Args:
      logits: of all attributes.
      values: int [B, A], -1 where an attribute may have any; NaN comes of one beyond the last.
    """
    total = 0.0
    for a, each in enumerate(logits):
        wanted = values[:, a]
        chosen = jnp.maximum(wanted, 0)[:, None]
        found = jnp.take_along_axis(jax.nn.log_softmax(each), chosen, 1, mode="fill")
        total += jnp.where(wanted >= 0, found[:, 0], 0.0)
    return total
