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
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.densities.gaussian import standard_normal_log_prob, sum_event

Latents = tuple[jax.Array, ...]  # (z_1 … z_L), bottom first, each [B, ...]
Conditional = Callable[[int, Latents], tuple[jax.Array, jax.Array]]


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


def hierarchical_prior(conditional: Conditional, num_layers: int) -> HierarchicalPrior:
    """Builds the prior from its conditionals.

    Args:
      conditional: (i, above) → (mean, std) of layer i (0 = bottom) given `above`, the tuple of the
        layers over it, (z_{i+1} … z_{L−1}); std must be positive. Never called for the top layer.
      num_layers: L ≥ 1.

    Returns:
      HierarchicalPrior.
    """

    def to_z(u: Latents) -> tuple[Latents, jax.Array]:
        z = (u[-1],)
        log_det = jnp.zeros(u[-1].shape[0], u[-1].dtype)
        for i in reversed(range(num_layers - 1)):
            mean, std = conditional(i, z)
            z = (mean + std * u[i], *z)
            log_det += sum_event(jnp.log(std))
        return z, log_det

    def to_u(z: Latents) -> tuple[Latents, jax.Array]:
        u = [z[-1]]
        log_det = jnp.zeros(z[-1].shape[0], z[-1].dtype)
        for i in reversed(range(num_layers - 1)):
            mean, std = conditional(i, z[i + 1 :])
            u.insert(0, (z[i] - mean) / std)
            log_det -= sum_event(jnp.log(std))
        return tuple(u), log_det

    def log_prob(z: Latents) -> jax.Array:
        u, log_det = to_u(z)
        return sum(standard_normal_log_prob(u_i) for u_i in u) + log_det

    def redraw(u: Latents, z: Latents, k: int) -> Latents:
        if k >= num_layers:
            return to_z(u)[0]
        kept = z[k:]
        for i in reversed(range(k)):
            mean, std = conditional(i, kept)
            kept = (mean + std * u[i], *kept)
        return kept

    return HierarchicalPrior(to_z=to_z, to_u=to_u, log_prob=log_prob, redraw=redraw)
