"""`Method.sample`, from how a method draws without its energy and how it runs its chains."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.methods.base import InferenceState, Samples, initial_latents

PRIORS = ("ebm", "gaussian")


def prior_steps(config: Any) -> int:
    """Langevin steps behind a sample; of a diffusion at each level, on average.

    Args:
      config: a whole experiment's config.

    Returns:
      `eval.prior_steps`, by default as many as in training.
    """
    return config.eval.prior_steps or config.sampler.prior.num_steps


def sampler(
    draw: Callable[[InferenceState, jax.Array], tuple[jax.Array, Any]],
    run: Callable[..., tuple[Any, Callable[[Any], jax.Array]]] | None = None,
) -> Callable[..., Samples]:
    """`Method.sample`.

    Args:
      draw: (state, keys [n]) → (images, latents) without the energy.
      run: (state, keys, num_steps or None, keep_every) → (Chain, latents → images); None for a
        method without energy, whose samples are `draw`'s whatever `prior` is.
    """

    def sample(
        state: InferenceState,
        key,
        n,
        *,
        start=0,
        prior="ebm",
        num_steps=None,
        keep_every=0,
        keep_images=True,
    ):
        if prior not in PRIORS:
            raise ConfigError(f"prior is '{prior}'; use 'ebm' or 'gaussian'.")
        keys = randomness.per_example(key, start + jnp.arange(n))
        if run is None or prior == "gaussian":
            return Samples(*draw(state, keys), None, None, None)
        chain, images_of = run(state, keys, num_steps, keep_every)
        trajectory = None
        if chain.trajectory is not None and keep_images:
            trajectory = jax.lax.map(images_of, chain.trajectory)
        return Samples(
            images_of(chain.position),
            chain.position,
            chain.info,
            trajectory,
            chain.profile,
            chain.trajectory,
        )

    return sample


def plain_sampler(decode: Callable[..., jax.Array], latent_shape: tuple[int, ...]) -> Callable:
    """`Method.sample` of a method without chains: decode(state, z) of z ~ N(0, I)."""

    def draw(state, keys):
        z = initial_latents(keys, "start", latent_shape)
        return decode(state, z), {"z": z}

    return sampler(draw)
