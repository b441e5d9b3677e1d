"""Samples with attributes that are asked for, in all layers or in some (ICML 2024)."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ebm_jax import randomness
from ebm_jax.densities.coupling import log_prob
from ebm_jax.densities.hierarchical import Latents
from ebm_jax.errors import ConfigError
from ebm_jax.methods.base import Control, InferenceState
from ebm_jax.methods.latent_model import LatentModel


def build(
    parts: LatentModel,
    *,
    tilt: Callable[..., jax.Array],
    run: Callable[..., Latents],
    noised: Callable[..., Latents] | None = None,
) -> Control | None:
    """The control of one method; None without a coupling.

    Args:
      parts: its parts.
      tilt: (params, z, *t) → F(z) or F(z, t), [B].
      run: (keys, tilt of u, start) → u, the end of the method's chains from u = `start` on the tilt
        times N(0, I); its tilt takes (u) or (u, t).
      noised: (u, t, noise) → u at level t of a diffusion; None for a method without levels. Layers
        that are kept stand at level t with one noise for all levels: right at each level, but no
        draw of the whole way to it.
    """
    coupling, model, chains = parts.coupling, parts.model, parts.chains
    if coupling is None:
        return None
    num_layers = len(model.latent_shapes)

    def request(
        state: InferenceState, key, index, values, guidance=1.0, kept=None, moved=None
    ) -> tuple[jax.Array, Latents]:
        if (kept is None) != (moved is None):
            raise ConfigError("give `kept` and `moved` together, or neither.")
        params, _ = parts.normalised(*state)
        keys = randomness.per_example(key, index)
        prior = model.prior(params)
        layers = range(num_layers) if moved is None else moved
        known, noise = None, chains.noise(keys, "known")
        if kept is not None:
            known = jax.lax.stop_gradient(prior.to_u(kept)[0])

        def whole(u, *t):
            """`u` of the layers that move and what is known of the others, bottom layer first."""
            if known is None:
                return u
            found = list(noised(known, *t, noise) if t else known)
            for i, u_i in zip(layers, u, strict=True):
                found[i] = u_i
            return tuple(found)

        def tilt_of(u, *t):
            z, _ = prior.to_z(whole(u, *t))
            wanted = log_prob(coupling.logits(params["coupling"], z, *t), values)
            return tilt(params, z, *t) + guidance * wanted

        start = chains.noise(keys, "start")
        end = run(randomness.streams(keys, "prior"), tilt_of, tuple(start[i] for i in layers))
        z, _ = prior.to_z(whole(end))
        return parts.likelihood.mean(model.decode(params, z)), z

    def log_probs(state: InferenceState, images, key, index):
        params, _ = parts.normalised(*state)
        keys = randomness.per_example(key, index)
        z, _ = model.infer(params, images, chains.noise(keys, "inference"))
        level = () if noised is None else (jnp.zeros(len(images), jnp.int32),)
        return tuple(map(jax.nn.log_softmax, coupling.logits(params["coupling"], z, *level)))

    return Control(request, log_probs)
