"""How attributes learn to go with latents (ICML 2024): p(y, z) ∝ exp[Σ_a F_a(z)_{y_a}] p(z)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.densities.coupling import log_prob, marginal
from ebm_jax.measures import MEASURES
from ebm_jax.models.coupling import Coupling


class Attributes(NamedTuple):
    """The coupling in a method's density and loss; all is 0 or None without one.

    Attributes:
      marginal: (params, z, *t) → Σ_a log Σ_y exp F_a(z)_y, [B].
      values: (params, batch, z of its images) → the y [B, A] that learn to go with z: the batch's,
        but with `coupling.labels` 'decoded' measured ones are those of the image that z is decoded
        to, as they will be of samples.
      loss: (params, y, joint, z⁺, z⁻, *t) → a scalar and its metrics; its gradient is
        −(E⁺[∇ Σ_a F_a(z)_{y_a}] − E⁻[∇ Σ_a log Σ_y exp F_a(z)_y]) where `coupling.weight`, that of
        log p(y|z), and `joint` are 1. In the warm-up `joint` is 0: log p(y|z) alone is learned.
    """

    marginal: Callable[..., jax.Array]
    values: Callable[..., jax.Array | None]
    loss: Callable[..., tuple[jax.Array | float, dict[str, jax.Array]]]


def build(config, coupling: Coupling | None, decoded: Callable[..., jax.Array]) -> Attributes:
    """How the attributes of one experiment are learned.

    Args:
      config: `data.attributes`, their edges, and `coupling`.
      coupling: its nets, or None.
      decoded: (params, z) → images [B, H, W, C] in the data's range.
    """
    if coupling is None:
        return Attributes(
            marginal=lambda _, z, *t: jnp.zeros(z[0].shape[0]),
            values=lambda *_: None,
            loss=lambda *_: (0.0, {}),
        )
    named, edges = config.data.attributes, config.data.attribute_edges
    weight, labels = config.coupling.weight, config.coupling.labels
    low, high = config.data.range

    def marginals(params, z, *t):
        return marginal(coupling.logits(params["coupling"], z, *t))

    def values(params, batch, z):
        given = batch["attributes"]
        if labels == "data":
            return given
        x = decoded(params, z)[..., 0]
        grey = jnp.round(255 * jnp.clip((x - low) / (high - low), 0, 1)) / 255
        columns = [
            jnp.digitize(MEASURES[name](grey), jnp.asarray(cuts)) if cuts else given[:, a]
            for a, ((name, _), cuts) in enumerate(zip(named, edges, strict=True))
        ]
        return jnp.stack(columns, axis=1).astype(given.dtype)

    def loss(params, y, joint, positive, negative, *t):
        logits = coupling.logits(params["coupling"], positive, *t)
        told = jnp.mean(log_prob(logits, y))
        found = {"coupling/log_prob": told}
        for a, (name, _) in enumerate(named):
            right = logits[a].argmax(-1) == y[:, a]
            found[f"coupling/accuracy_{name}"] = jnp.mean(right.astype(jnp.float32))
        unsupervised = jnp.mean(marginals(params, negative, *t)) - jnp.mean(marginal(logits))
        return joint * unsupervised - weight * told, found

    return Attributes(marginals, values, loss)
