"""The densities of Hat EBM (NeurIPS 2022): an image is x = G(z) + y, its energy H(x).

    joint        p(y, z) ∝ exp{−H(G(z) + y)/T − τ‖y‖²}
    conditional  p(y, z) ∝ p_0(z) exp{−H(G(z) + y)/T − τ‖y‖²}

With τ = 0 the conditional one has z ~ p_0 and x ∝ exp{−H(x)/T} independent of each other (the
normaliser of p(y|z) does not depend on z: it is that of H, moved by G(z)), so log p(x) = −H(x)/T up
to a constant. The joint one is flat along G(z) + y = const unless τ > 0, and even then, where G is
bounded as these generators are, it does not fall as z grows: it has no integral unless z has a
prior too. The papers run short chains on it, which never reach its ends.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Position = dict[str, jax.Array]  # {"z": [B, ...], "y": [B, H, W, C]}


def hat_log_prob(
    energy: Callable[[jax.Array], jax.Array],
    generate: Callable[[jax.Array], jax.Array],
    *,
    temperature: float,
    tau: float = 0.0,
    log_prior: Callable[[jax.Array], jax.Array] | None = None,
) -> Callable[[Position], jax.Array]:
    """log p(y, z) [B] up to a constant, a function of {"z", "y"}.

    Args:
      energy: H, x [B, H, W, C] → [B].
      generate: G, z [B, ...] → [B, H, W, C].
      temperature: T > 0; it divides H alone.
      tau: τ ≥ 0, weight of the residual's squared norm.
      log_prior: log p_0(z) [B] of the conditional density; None for the joint one.
    """

    def log_prob(position: Position) -> jax.Array:
        z, y = position["z"], position["y"]
        value = -energy(generate(z) + y) / temperature
        if tau:
            value -= tau * jnp.sum(y.reshape(y.shape[0], -1) ** 2, axis=1)
        return value if log_prior is None else value + log_prior(z)

    return log_prob
