"""Hierarchical Gaussian prior and its re-parameterisation T_β.

    z_L ~ N(0, I),   z_i | z_{>i} ~ N(μ_i(z_{>i}), σ_i(z_{>i})²),   z_1 is next to the image.

T_β maps u ~ N(0, I) to z layer by layer from the top, z_i = μ_i + σ_i ⊙ u_i. Its four formulas:

    forward    z_L = u_L,  z_i = μ_i(z_{>i}) + σ_i(z_{>i}) ⊙ u_i
    inverse    u_L = z_L,  u_i = (z_i − μ_i(z_{>i})) / σ_i(z_{>i})
    log|det ∂z/∂u| =  Σ_i Σ_d log σ_{i,d}
    log|det ∂u/∂z| = −Σ_i Σ_d log σ_{i,d}

Source: joint latent EBM prior (CVPR 2023), eq. of the multi-layer prior; the map T_β is that of
hierarchical latent EBM diffusion (ICML 2024).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.densities.gaussian import standard_normal_log_prob, sum_event

Latents = tuple[jax.Array, ...]  # (z_1 … z_L), bottom first, each [B, ...]
Conditional = Callable[[int, Any], tuple[jax.Array, jax.Array]]


class HierarchicalPrior(NamedTuple):
    """Pure functions of one prior; latents are tuples, bottom layer first.

    Attributes:
      to_z: u → (z, log|det ∂z/∂u| [B]).
      to_u: z → (u, log|det ∂u/∂z| [B]).
      log_prob: z → log p_β(z) [B].
      redraw: (u, z, k) → z with layers 1 … k replaced by μ + σ ⊙ u given the layers above them,
        layers k+1 … L kept. With u ~ N(0, I) this is ancestral sampling below the kept layers.
    """

    to_z: Callable[[Latents], tuple[Latents, jax.Array]]
    to_u: Callable[[Latents], tuple[Latents, jax.Array]]
    log_prob: Callable[[Latents], jax.Array]
    redraw: Callable[[Latents, Latents, int], Latents]


def top_alone(top: jax.Array) -> Latents:
    """z_L → (z_L,), the default `start`."""
    return (top,)


def with_layer(i: int, above: Latents, z_i: jax.Array) -> Latents:
    """The layers above i and layer i, bottom first: the default `absorb`."""
    return (z_i, *above)


def hierarchical_prior(
    conditional: Conditional,
    num_layers: int,
    *,
    start: Callable[[jax.Array], Any] = top_alone,
    absorb: Callable[[int, Any, jax.Array], Any] = with_layer,
) -> HierarchicalPrior:
    """Builds the prior from its conditionals.

    What a layer's conditional is given of the layers above it is theirs as a tuple, bottom first,
    (z_{i+1} … z_{L−1}), or whatever `start` and `absorb` make of them one by one: the state of a
    decoder's tower, which is then computed once for all layers.

    Args:
      conditional: (i, state) → (mean, std) of layer i (0 = bottom); std must be positive. Never
        called for the top layer.
      num_layers: L ≥ 1.
      start: z_L → the state below the top layer.
      absorb: (i, state, z_i) → the state below layer i. Never called for the bottom layer.

    Returns:
      HierarchicalPrior.
    """

    def sweep(top: jax.Array, layer: Callable[..., jax.Array]) -> Latents:
        """z from the top down; `layer` is (i, mean, std) → z_i."""
        z = (top,)
        state = start(top) if num_layers > 1 else None
        for i in reversed(range(num_layers - 1)):
            z = (layer(i, *conditional(i, state)), *z)
            if i:
                state = absorb(i, state, z[0])
        return z

    def to_z(u: Latents) -> tuple[Latents, jax.Array]:
        log_dets = [jnp.zeros(u[-1].shape[0], u[-1].dtype)]

        def layer(i, mean, std):
            log_dets.append(sum_event(jnp.log(std)))
            return mean + std * u[i]

        return sweep(u[-1], layer), sum(log_dets)

    def to_u(z: Latents) -> tuple[Latents, jax.Array]:
        u, log_dets = [z[-1]], [jnp.zeros(z[-1].shape[0], z[-1].dtype)]

        def layer(i, mean, std):
            u.insert(0, (z[i] - mean) / std)
            log_dets.append(-sum_event(jnp.log(std)))
            return z[i]

        sweep(z[-1], layer)
        return tuple(u), sum(log_dets)

    def log_prob(z: Latents) -> jax.Array:
        u, log_det = to_u(z)
        return sum(standard_normal_log_prob(u_i) for u_i in u) + log_det

    def redraw(u: Latents, z: Latents, k: int) -> Latents:
        if k >= num_layers:
            return to_z(u)[0]
        return sweep(z[-1], lambda i, mean, std: mean + std * u[i] if i < k else z[i])

    return HierarchicalPrior(to_z=to_z, to_u=to_u, log_prob=log_prob, redraw=redraw)
