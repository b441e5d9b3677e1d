"""Prior and posterior chains of a latent variable model, in z-space or u-space.

Chains start and end in z-space whichever space they move in. Prior chains are best run in u-space,
where every layer has unit scale; posterior chains from noise learn in z-space only, because in
u-space p(z_1|z_2) fits its own shrunken samples until σ dies.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax import randomness
from ebm_jax.densities.gaussian import standard_normal_log_prob
from ebm_jax.densities.hierarchical import HierarchicalPrior, Latents
from ebm_jax.densities.joint import JointDensity
from ebm_jax.densities.tilted import LogProb, tilted_in_u, tilted_in_z
from ebm_jax.errors import ConfigError
from ebm_jax.models.latent_variable import LatentVariableModel
from ebm_jax.samplers import Chain, annealed_langevin, langevin, mala, normal_like, run_chain


class LatentChains(NamedTuple):
    """Chains of one model; `keys` are per example, [B].

    Attributes:
      noise: (keys, name) → standard normal latents, from the stream `name`.
      prior: (params, keys, num_steps, keep_every=0) → Chain on the EBM prior.
      posterior: (params, density, keys, x, num_steps) → Chain on `density`'s posterior of x.
      redraw: (params, keys, z, k) → z with layers 1 … k drawn given the layers above, which stay:
        from p_β or its mode (`eval.redraw`), then `eval.redraw_steps` Langevin steps on the EBM
        prior in u-space.
      tilted: (keys, tilt, start, steps) → the end of a Langevin chain in u-space from u = `start`,
        any of the layers, on tilt(u) + log N(u; 0, I). `steps` has in turn how many, and their size
        in units of `sampler.prior.step_size`.
    """

    noise: Callable[[jax.Array, str], Latents]
    prior: Callable[..., Chain]
    posterior: Callable[..., Chain]
    redraw: Callable[..., Latents]
    tilted: Callable[..., Latents]


def build(config, density: JointDensity, model: LatentVariableModel) -> LatentChains:
    """The chains of `config.sampler`.

    Raises:
      ConfigError: an unknown space, kernel or start.
    """
    prior_cfg, posterior_cfg = config.sampler.prior, config.sampler.posterior
    if config.eval.redraw not in ("sample", "mode"):
        raise ConfigError(f"eval.redraw is '{config.eval.redraw}'; use 'sample' or 'mode'.")
    _validate("sampler.prior", prior_cfg, ("normal", "ancestral"))
    if prior_cfg.legacy_log_sigma and prior_cfg.space != "u":
        raise ConfigError(
            "sampler.prior.legacy_log_sigma is on, but log σ is part of the density in z-space; "
            "use sampler.prior.space 'u', or leave it off."
        )
    _validate("sampler.posterior", posterior_cfg, ("normal", "ancestral", "inference"))

    def noise(keys, name):
        zeros = tuple(jnp.zeros((keys.shape[0], *shape)) for shape in model.latent_shapes)
        return normal_like(randomness.streams(keys, name), zeros)

    def start_of(cfg, prior, keys, name):
        drawn = noise(keys, name)
        # In u-space N(0, I) is the ancestral sample; in z-space the two differ.
        return prior.to_z(drawn)[0] if cfg.init == "ancestral" or cfg.space == "u" else drawn

    def run_prior(params, keys, num_steps, keep_every=0):
        prior = density.prior(params)
        return _run(
            prior_cfg,
            prior,
            lambda z: density.neg_energy(params, z),
            randomness.streams(keys, "prior"),
            start_of(prior_cfg, prior, keys, "start"),
            num_steps,
            keep_every,
        )

    def run_posterior(params, density, keys, x, num_steps):
        prior = density.prior(params)
        if posterior_cfg.init == "inference":
            start, _ = model.infer(params, x, noise(keys, "inference"))
        else:
            start = start_of(posterior_cfg, prior, keys, "posterior_start")
        return _run(
            posterior_cfg,
            prior,
            lambda z: density.log_likelihood(params, x, z) + density.neg_energy(params, z),
            randomness.streams(keys, "posterior"),
            start,
            num_steps,
        )

    def redraw(params, keys, z, k):
        prior = density.prior(params)
        drawn = noise(keys, "redraw")
        if config.eval.redraw == "mode":
            drawn = jax.tree.map(jnp.zeros_like, drawn)
        z = prior.redraw(drawn, z, k)
        if not k or not config.eval.redraw_steps:
            return z
        u = prior.to_u(z)[0]
        lower, kept = u[:k], u[k:]

        def tilt(lower):
            return density.neg_energy(params, prior.to_z((*lower, *kept))[0])

        keys = randomness.streams(keys, "refine")
        lower = tilted(keys, tilt, lower, ((config.eval.redraw_steps, 1.0),))
        return prior.to_z((*lower, *kept))[0]

    def tilted(keys, tilt, start, steps):
        def log_prob(u):
            return tilt(u) + sum(map(standard_normal_log_prob, u))

        counts, factors = zip(*steps, strict=True)
        sizes = prior_cfg.step_size * jnp.repeat(jnp.asarray(factors), np.asarray(counts))
        kernel = annealed_langevin(log_prob, sizes, clip=prior_cfg.clip)
        return run_chain(kernel, keys, start, len(sizes)).position

    return LatentChains(noise, run_prior, run_posterior, redraw, tilted)


def _run(
    cfg,
    prior: HierarchicalPrior,
    tilt: LogProb,
    keys: jax.Array,
    start: Latents,
    num_steps: int,
    keep_every: int = 0,
) -> Chain:
    """A chain of settings `cfg` on the prior tilted by `tilt`."""
    in_u = cfg.space == "u"
    if in_u:
        target = tilted_in_u(prior, tilt, legacy_log_sigma=cfg.get("legacy_log_sigma", False))
    else:
        target = tilted_in_z(prior, tilt)
    if cfg.kernel == "mala":
        kernel = mala(target, cfg.step_size)
    else:
        kernel = langevin(target, cfg.step_size, clip=cfg.clip)
    if not in_u:
        return run_chain(kernel, keys, start, num_steps, keep_every=keep_every)
    chain = run_chain(kernel, keys, prior.to_u(start)[0], num_steps, keep_every=keep_every)
    return in_z(chain, prior)


def in_z(chain: Chain, prior: HierarchicalPrior) -> Chain:
    """A chain of u with its positions taken to z."""

    def to_z(u):
        return jax.lax.stop_gradient(prior.to_z(u)[0])

    trajectory = chain.trajectory
    if trajectory is not None:
        trajectory = jax.lax.map(to_z, trajectory)
    return chain._replace(position=to_z(chain.position), trajectory=trajectory)


def _validate(name, cfg, inits):
    if cfg.space not in ("u", "z"):
        raise ConfigError(f"{name}.space is '{cfg.space}'; use 'u' or 'z'.")
    if cfg.kernel not in ("langevin", "mala"):
        raise ConfigError(f"{name}.kernel is '{cfg.kernel}'; use 'langevin' or 'mala'.")
    if cfg.init not in inits:
        raise ConfigError(f"{name}.init is '{cfg.init}'; use one of: {', '.join(inits)}.")
    if cfg.clip < 0 or (cfg.clip and cfg.kernel == "mala"):
        raise ConfigError(
            f"{name}.clip is {cfg.clip}; use 0 (off), or a positive norm with kernel 'langevin'."
        )
    if cfg.space == "u" and cfg.kernel == "langevin" and cfg.step_size >= 2:
        raise ConfigError(
            f"{name}.step_size is {cfg.step_size}, but Langevin steps diverge on a unit Gaussian "
            "from 2 on; use a smaller one (the configs here have 0.1 to 0.4)."
        )
    for key in ("num_steps", "step_size"):
        if not cfg[key] > 0:  # NaN too
            raise ConfigError(f"{name}.{key} is {cfg[key]}; it must be positive.")
