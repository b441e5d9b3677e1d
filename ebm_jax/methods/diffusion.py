"""Hierarchical latent EBM diffusion (ICML 2024): one conditional EBM for each level of noise.

On a first stage, a hierarchical VAE, the latents of images are taken to u-space, where N(0, I) is
their prior, and diffused in T steps; an energy of (z, t) learns each step back from its own short
chains. Samples go through all of them.
"""

import functools

import jax
import jax.numpy as jnp

from ebm_jax import randomness
from ebm_jax.densities import diffusion
from ebm_jax.densities.hierarchical import Latents
from ebm_jax.errors import ConfigError
from ebm_jax.methods import control, latent_chains, latent_model
from ebm_jax.methods.base import Method
from ebm_jax.methods.metrics import chain_metrics
from ebm_jax.methods.reverse_chain import ReverseChain, all_levels, one_level
from ebm_jax.methods.sampling import prior_steps
from ebm_jax.methods.warmup import after_warmup
from ebm_jax.models import backbones, energies

_LARGEST_SHARE = 1e6


def build(config, axis_name: str | None = None) -> Method:
    """The method's pure functions for one experiment.

    `stability.max_energy` holds for φ = η_t F.

    Args:
      config: `diffusion.num_steps` is T; of `sampler.prior`, `num_steps` is K, the steps at each
        level, and `step_size` is b, from which `diffusion.step_rule` makes η_t (see
        `densities.diffusion.step_sizes`). `diffusion.weight_power` p weighs the levels by 1/η_t^p:
        with p = 1 all have their likelihood's gradient; less gives those of large steps more of
        what nets and their optimiser share, and each level keeps its own optimum.
        `eval.level_shares` are the levels' parts of a sample's T · K steps, level 0 first; ()
        for K at each. See configs/base.py for the rest.
      axis_name: the mapped axis to average over, or None.

    Raises:
      ConfigError: settings that do not fit together.
    """
    _check(config)
    chain_cfg = config.sampler.prior
    levels = diffusion.schedule(config.diffusion.num_steps)
    step_sizes = diffusion.step_sizes(levels, chain_cfg.step_size**2, config.diffusion.step_rule)
    shares = tuple(config.eval.level_shares)
    weights = step_sizes**config.diffusion.weight_power

    def tilt(params, z, t):
        """F(z, t) = Σ_i f_i(z_i, t), and the coupling's marginal, [B]."""
        coupled = parts.attributes.marginal(params, z, t)
        return sum(scaled(parts.energies, params["energy"], z, t)) + coupled

    def scaled(nets, energy, z, t):
        """f_i(z_i, t) = φ_i(z_i, t) / η_t of each layer, [B]."""
        return tuple(phi / step_sizes[t] for phi in nets.terms(energy, z, t))

    def lowest(nets, energy, z):
        return scaled(nets, energy, z, jnp.zeros(z[0].shape[0], jnp.int32))

    parts = latent_model.build_parts(
        config,
        backbones.build,
        energies.one_per_layer_and_level,
        second_stage=True,
        energy_terms=lowest,
        timed=True,
    )
    model, chains = parts.model, parts.chains

    def settings(num_steps):
        return ReverseChain(levels, step_sizes, num_steps, chain_cfg.clip, shares)

    def tilt_of(params):
        prior = model.prior(params)
        return lambda u, t: tilt(params, prior.to_z(u)[0], t)

    def pairs(step, fixed, batch, keys):
        """(t, ũ_t of the data, their attributes, whether the warm-up is over, the chain back)."""
        z, _ = model.infer(fixed, batch["image"], chains.noise(keys, "inference"))
        u, _ = model.prior(fixed).to_u(z)
        t = _levels(randomness.streams(keys, "level"), levels.num_steps)
        positive = diffusion.noised(levels, u, t, chains.noise(keys, "noise"))
        noisier = diffusion.one_step_noisier(levels, positive, t, chains.noise(keys, "noisier"))
        chain_keys = randomness.streams(keys, "prior")
        how = settings(chain_cfg.num_steps)
        joint, chain = after_warmup(
            config, step, lambda: one_level(how, tilt_of(fixed), chain_keys, noisier, t)
        )
        return t, positive, parts.attributes.values(fixed, batch, z), joint, chain

    def gradients(state, fixed, batch, key):
        keys = randomness.per_example(key, batch["index"])
        t, positive, values, joint, chain = pairs(state.step, fixed, batch, keys)
        to_z = model.prior(fixed).to_z

        def loss_fn(learned):
            params, _ = parts.normalised({**fixed, **learned}, state.extra)

            def unscaled(z: Latents):
                return sum(parts.energies.terms(params["energy"], z, t))

            z_positive, z_negative = to_z(positive)[0], to_z(chain.position)[0]
            data, ends = unscaled(z_positive), unscaled(z_negative)
            loss = joint * jnp.mean((ends - data) / weights[t])
            # Of φ, not of F = φ / η_t, whose scale is another at every level.
            found = {"energy/positive": -jnp.mean(data), "energy/negative": -jnp.mean(ends)}
            coupled, seen = parts.attributes.loss(params, values, joint, z_positive, z_negative, t)
            return loss + coupled, found | seen | {"loss/total": loss + coupled}

        grads, found = jax.grad(loss_fn, has_aux=True)(parts.learned(state.params))
        return grads, chain_metrics("prior", chain.info) | found, {}

    def run(state, keys, num_steps, keep_every):
        params, _ = parts.normalised(*state)
        steps = num_steps or prior_steps(config)
        start = chains.noise(keys, "start")
        chain_keys = randomness.streams(keys, "prior")
        chain = all_levels(settings(steps), tilt_of(params), chain_keys, start, keep_every)
        return latent_chains.in_z(chain, model.prior(params))

    def run_control(keys, tilt, start):
        steps = prior_steps(config)
        return all_levels(settings(steps), tilt, keys, start).position

    return latent_model.build_method(
        config,
        parts,
        control=control.build(
            parts,
            tilt=tilt,
            run=run_control,
            noised=functools.partial(diffusion.noised, levels),
        ),
        name="diffusion",
        gradients=gradients,
        run=run,
        advice="lower the rate of optim.energy or sampler.prior.step_size",
        axis_name=axis_name,
        chain_detail=(
            f" at each of {levels.num_steps} levels{' on average' * bool(shares)} (that is b; "
            f"{diffusion.STEP_RULES[config.diffusion.step_rule]})"
            + f", divided {' : '.join(f'{s:g}' for s in shares)} from level 0 up"
            * bool(shares)
        ),
        one_target=False,
        builds_on=latent_model.BACKBONE_SETTINGS,
        needs_first_stage=True,
    )


def _levels(keys, num_steps):
    """t ~ U{0 … T − 1} of every example, by its key."""
    draw = jax.vmap(lambda key: jax.random.randint(key, (), 0, num_steps))
    return draw(keys)


def _is_share(value) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < _LARGEST_SHARE


def _check(config) -> None:
    """Raises ConfigError for settings that make no sense."""
    steps, chain = config.diffusion.num_steps, config.sampler.prior
    if not 1 <= steps <= diffusion.MOST_STEPS:
        raise ConfigError(
            f"diffusion.num_steps is {steps}; use 1 to {diffusion.MOST_STEPS} levels."
        )
    if (chain.space, chain.kernel, chain.legacy_log_sigma) != ("u", "langevin", False):
        raise ConfigError(
            f"sampler.prior has space '{chain.space}', kernel '{chain.kernel}' and "
            f"legacy_log_sigma {chain.legacy_log_sigma}; the diffusion's chains take "
            "'u', 'langevin' and False."
        )
    rule = config.diffusion.step_rule
    if rule not in diffusion.STEP_RULES:
        raise ConfigError(
            f"diffusion.step_rule is '{rule}'; use one of: {', '.join(diffusion.STEP_RULES)}."
        )
    if not 0 <= config.diffusion.weight_power <= 1:
        raise ConfigError(
            f"diffusion.weight_power is {config.diffusion.weight_power}; use 0 (equal weights) to "
            "1 (1/η_t, the paper's)."
        )
    shares = tuple(config.eval.level_shares)
    if shares and not (len(shares) == steps and all(map(_is_share, shares))):
        raise ConfigError(
            f"eval.level_shares is {shares}; give one positive number for each of the {steps} "
            "levels, level 0 first, or () for as many steps at each."
        )
    levels = diffusion.schedule(steps)
    # In units of the variance that each level's Gaussian has.
    largest = float((diffusion.step_sizes(levels, 1.0, rule) / levels.sigma[1:] ** 2).max())
    if not 0 < chain.step_size**2 * largest < 4:
        raise ConfigError(
            f"sampler.prior.step_size is {chain.step_size}, but with diffusion.num_steps {steps} "
            f"Langevin steps diverge on a Gaussian from {2 / largest**0.5:.3g} on; use a smaller "
            "positive one (the configs here have 0.03, the paper 0.0055)."
        )
    for name, value in (
        ("optim.energy_l2", config.optim.energy_l2),
        ("eval.redraw_steps", config.eval.redraw_steps),
    ):
        if value:
            raise ConfigError(f"{name} is {value}, which method 'diffusion' has no use for; use 0.")
