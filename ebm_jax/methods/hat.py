"""Hat EBM (NeurIPS 2022): an energy H on images x = G(z) + y, learned by chains on z and y.

With `hat.density = "conditional"` the generator learns beside it, from a bank of the chain's past
ends (synthesis); with "joint" it is that of a first stage, method `autoencoder` or `sngan`, and
stays as it is (retrofit, refinement). Data needs neither z nor y.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from ebm_jax import randomness
from ebm_jax.densities.gaussian import standard_normal_log_prob
from ebm_jax.densities.hat import hat_log_prob
from ebm_jax.errors import ConfigError
from ebm_jax.methods import bank as banks
from ebm_jax.methods.accumulation import in_parts, joined_parts
from ebm_jax.methods.bank import Bank
from ebm_jax.methods.base import (
    InferenceState,
    Method,
    TrainState,
    check_images,
    first_state,
    initial_latents,
)
from ebm_jax.methods.metrics import chain_metrics
from ebm_jax.methods.optimisers import optimisers_of
from ebm_jax.methods.sampling import prior_steps, sampler
from ebm_jax.models import hat
from ebm_jax.samplers import Move, alternating, normal_like, run_chain

DENSITIES = ("conditional", "joint")
GENERATOR_SETTINGS = (
    "data.name",
    "data.image_size",
    "data.channels",
    "data.range",
    "model.latent_sizes",
    "model.generator.kind",
    "model.generator.hidden",
    "model.generator.out_factor",
)
_CHUNK = 100  # images of the first bank that are generated at a time


def build(config, axis_name: str | None = None) -> Method:
    """The method's pure functions for one experiment.

    Args:
      config: `hat` has the settings of density and chain, see configs/hats.py.
      axis_name: the mapped axis to average over, or None.

    Raises:
      ConfigError: settings that do not fit together.
    """
    cfg, chain_cfg = config.hat, config.sampler.prior
    _check(config)
    sampling_tau = cfg.tau if cfg.eval_tau is None else cfg.eval_tau
    generator = hat.build_generator(config)
    critic = hat.build_critic(config, "energy", pool="mean")
    cooperative = cfg.density == "conditional"
    learned = ("energy", "generator") if cooperative else ("energy",)

    optimiser = optimisers_of(config)

    def generator_of(params, extra):
        return functools.partial(generator.generate, params["generator"], extra["statistics"])

    def init(key, batch, first=None):
        check_images(config, batch)
        params_key = randomness.stream(key, "params")
        params = {"energy": critic.init(jax.random.fold_in(params_key, 0))}
        if first is None:
            params["generator"], statistics = generator.init(jax.random.fold_in(params_key, 1))
        else:
            params["generator"], statistics = first.params["generator"], first.extra["statistics"]
        extra = {"statistics": statistics}
        if cooperative:
            keys = randomness.per_example(key, jnp.arange(cfg.bank_size))
            z = initial_latents(keys, "bank", generator.latent_shape)
            generate = generator_of(params, extra)
            x = jax.lax.map(lambda one: generate(one[None])[0], z, batch_size=_CHUNK)
            extra["training"] = {"bank": Bank(z, x)}
        opt_state = {group: optimiser(group).init(params[group]) for group in learned}
        return first_state(params, opt_state, extra)

    def run(params, extra, keys, num_steps, tau, keep_every=0):
        """(chain from z ~ N(0, I) and y = 0, G along it): positions are {"z", "y"}."""
        z = initial_latents(keys, "start", generator.latent_shape)
        generate = generator_of(params, extra)
        image = generate(z)
        image_of = generate if cfg.z_step_size else lambda _: image  # G(z) once, where z stays
        log_prob = hat_log_prob(
            functools.partial(critic.apply, params["energy"]),
            image_of,
            temperature=cfg.temperature,
            tau=tau,
            log_prior=_log_prior if cooperative and cfg.z_step_size else None,
        )
        moves = [Move("z", cfg.z_step_size)] * bool(cfg.z_step_size)
        moves.append(Move("y", chain_cfg.step_size, chain_cfg.clip))
        start = {"z": z, "y": jnp.zeros_like(image)}
        chain = run_chain(
            alternating(log_prob, moves), keys, start, num_steps, keep_every=keep_every
        )
        return chain, image_of

    def negatives(state, batch, key):
        """(this device's pairs of a step, the chain's metrics)."""
        keys = randomness.per_example(key, batch["index"])
        chain, image_of = run(state.params, state.extra, keys, chain_cfg.num_steps, cfg.tau)
        z = chain.position["z"]
        return Bank(z, image_of(z) + chain.position["y"]), chain_metrics("prior", chain.info)

    def energy_gradient(params, batch, key):
        """Of mean H(data + noise) − mean H(chain's ends); T is put in by `update`."""

        def loss_fn(energy_params):
            keys = randomness.streams(randomness.per_example(key, batch["index"]), "data")
            noise = normal_like(keys, batch["image"])
            noisy = batch["image"] + cfg.data_noise * noise
            positive = jnp.mean(critic.apply(energy_params, noisy))
            negative = jnp.mean(critic.apply(energy_params, batch["negative"]))
            loss = positive - negative
            parts = {"energy/positive": positive, "energy/negative": negative}
            return loss, parts | {"loss/energy": loss}

        return jax.grad(loss_fn, has_aux=True)(params)

    def generator_gradient(params, extra, pairs):
        def loss_fn(generator_params):
            images = generator.generate(generator_params, extra["statistics"], pairs.z)
            loss = cfg.generator_weight * jnp.mean((images - pairs.x) ** 2)
            return loss, {"loss/generator": loss}

        return jax.grad(loss_fn, has_aux=True)(params)

    def mean(tree):
        return tree if axis_name is None else jax.lax.pmean(tree, axis_name)

    def update(state: TrainState, batch, key):
        """One step: H from the chains' ends, then G from the bank, then the ends into the bank."""
        parts = config.train.accumulate
        pairs, metrics = joined_parts(lambda part: negatives(state, part, key), batch, parts)
        batch = {**batch, "negative": pairs.x}
        gradients, found = in_parts(
            lambda part: energy_gradient(state.params["energy"], part, key), batch, parts
        )
        grads, metrics = {"energy": gradients}, metrics | found
        extra = state.extra
        if cooperative:
            bank_key = randomness.stream(key, "bank")
            bank = extra["training"]["bank"]
            entries, past = banks.draw(bank_key, bank, len(pairs.z), axis_name)
            grads["generator"], found = in_parts(
                lambda part: generator_gradient(state.params["generator"], extra, part), past, parts
            )
            metrics |= found
            bank = banks.overwrite(bank, entries, pairs, axis_name)
            extra = {**extra, "training": {"bank": bank}}
        grads, metrics = mean((grads, metrics))
        params, opt_state = dict(state.params), {}
        for group in learned:
            metrics[f"grad_norm/{group}"] = optax.tree.norm(grads[group])
        # Under Adam this matters beside its ε alone.
        grads["energy"] = jax.tree.map(lambda g: g / cfg.temperature, grads["energy"])
        for group in learned:
            backs_off = group == "energy"  # the negative phase is where learning runs away
            factor = config.stability.energy_backoff**state.rollbacks if backs_off else 1.0
            params[group], opt_state[group] = optimiser(group).update(
                grads[group], state.opt_state[group], params[group], state.step, factor
            )
        return state._replace(params=params, opt_state=opt_state, extra=extra), metrics

    def draw(state, keys):
        z = initial_latents(keys, "start", generator.latent_shape)
        images = generator_of(state.params, state.extra)(z)
        return images, {"z": z, "y": jnp.zeros_like(images)}

    def run_when_sampling(state, keys, num_steps, keep_every):
        steps = num_steps or prior_steps(config)
        chain, image_of = run(state.params, state.extra, keys, steps, sampling_tau, keep_every)
        return chain, lambda position: image_of(position["z"]) + position["y"]

    def log_score(state: InferenceState, images, key, index, k=0):
        # log p(x) up to a constant for the conditional density with τ = 0, for others the energy.
        if k:
            raise ConfigError(f"k is {k}; Hat EBM's score of an image has no layers, use 0.")
        return -critic.apply(state.params["energy"], images) / cfg.temperature

    def energy(state: InferenceState, position):
        images = generator_of(state.params, state.extra)(position["z"]) + position["y"]
        return critic.apply(state.params["energy"], images)

    return Method(
        name="hat",
        init=init,
        update=update,
        sample=sampler(draw, run_when_sampling),
        posterior=None,
        reconstruct=None,
        log_score=log_score,
        energy=energy,
        has_energy=True,
        adds_residual=True,
        chain_detail=(
            f" (z {f'by steps of {cfg.z_step_size:g}' if cfg.z_step_size else 'stays'}, "
            f"T = {cfg.temperature:g}, τ = {sampling_tau:g}, clip {chain_cfg.clip:g})"
        ),
        builds_on=GENERATOR_SETTINGS,
        needs_first_stage=not cooperative,
        advice="lower the rate of optim.energy or sampler.prior.step_size, or raise hat.data_noise",
    )


def _log_prior(z):
    return standard_normal_log_prob(z.reshape(z.shape[0], -1))


def _check(config) -> None:
    """Raises ConfigError for settings that make no sense."""
    cfg, chain = config.hat, config.sampler.prior
    if cfg.density not in DENSITIES:
        raise ConfigError(f"hat.density is '{cfg.density}'; use one of: {', '.join(DENSITIES)}.")
    hat.check_range(config)
    if (chain.space, chain.kernel) != ("y", "langevin"):
        raise ConfigError(
            f"sampler.prior has space '{chain.space}' and kernel '{chain.kernel}'; Hat EBM's "
            "chain is of the residual: 'y' and 'langevin'."
        )
    if not cfg.temperature > 0:
        raise ConfigError(f"hat.temperature is {cfg.temperature}; it must be positive.")
    if not config.model.energy.enabled:
        raise ConfigError(
            "model.energy.enabled is False, but Hat EBM is its energy; leave it True."
        )
    for name in ("tau", "eval_tau", "z_step_size", "data_noise", "generator_weight"):
        if cfg[name] is not None and cfg[name] < 0:
            raise ConfigError(f"hat.{name} is {cfg[name]}; it must not be negative.")
    if cfg.density == "conditional" and cfg.bank_size < config.data.batch_size:
        raise ConfigError(
            f"hat.bank_size is {cfg.bank_size}, but each of the {config.data.batch_size} examples "
            "of a batch draws a pair of its own; use at least data.batch_size."
        )
