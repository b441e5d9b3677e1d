"""SN-GAN (Miyato et al., ICLR 2018): the generator that Hat EBM refines (NeurIPS 2022).

Hinge loss, spectral normalisation of the discriminator, several of its steps for one of the
generator, and batch normalisation in the generator, whose statistics are kept for sampling.
"""

import jax
import jax.numpy as jnp
import optax

from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.methods.base import (
    Method,
    TrainState,
    check_images,
    first_state,
    initial_latents,
)
from ebm_jax.methods.optimisers import optimisers_of
from ebm_jax.methods.sampling import plain_sampler
from ebm_jax.models import hat
from ebm_jax.nn.spectral import init_vectors, spectral_normalise

_GROUPS = ("generator", "discriminator")


def build(config, axis_name: str | None = None) -> Method:
    """The method's pure functions for one experiment.

    A batch is that of all the discriminator's steps: step i takes every so many-th example from
    the i-th on, so that it is the same on any number of devices. Batch statistics are those of all
    devices.

    Args:
      config: `gan.discriminator_steps` is their number per step of the generator.
      axis_name: the mapped axis to average over, or None.

    Raises:
      ConfigError: settings that do not fit together.
    """
    steps = config.gan.discriminator_steps
    hat.check_range(config)
    if steps < 1:
        raise ConfigError(f"gan.discriminator_steps is {steps}; it must be positive.")
    if config.data.batch_size % steps:
        raise ConfigError(
            f"data.batch_size is {config.data.batch_size}, but each of gan.discriminator_steps = "
            f"{steps} takes an equal part of it; use a multiple."
        )
    if config.train.accumulate != 1:
        raise ConfigError(
            f"train.accumulate is {config.train.accumulate}, but batch normalisation needs a whole "
            "batch at a time; set it to 1."
        )
    generator = hat.build_generator(config, axis_name)
    critic = hat.build_critic(config, "discriminator", pool="sum", bias=True)

    optimiser = optimisers_of(config)

    def mean(tree):
        return tree if axis_name is None else jax.lax.pmean(tree, axis_name)

    def init(key, batch):
        check_images(config, batch)
        params_key = randomness.stream(key, "params")
        params, statistics = generator.init(jax.random.fold_in(params_key, 0))
        discriminator = critic.init(jax.random.fold_in(params_key, 1))
        params = {"generator": params, "discriminator": discriminator}
        opt_state = {group: optimiser(group).init(params[group]) for group in _GROUPS}
        vectors = init_vectors(discriminator, randomness.stream(key, "spectral"))
        extra = {"statistics": statistics, "training": {"spectral": vectors}}
        return first_state(params, opt_state, extra)

    def discriminator_step(state: TrainState, part, key):
        """One step of D on a part: (state, metrics)."""
        keys = randomness.per_example(key, part["index"])
        params, statistics = state.params["generator"], state.extra["statistics"]
        fake, _ = generator.learn(
            params, statistics, initial_latents(keys, "discriminator", generator.latent_shape)
        )

        def loss_fn(params):
            normalised, vectors = spectral_normalise(params, state.extra["training"]["spectral"])
            real = critic.apply(normalised, part["image"])
            unreal = critic.apply(normalised, fake)
            loss = jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + unreal))
            found = {
                "discriminator/real": jnp.mean(real),
                "discriminator/generated": jnp.mean(unreal),
                "loss/discriminator": loss,
            }
            return loss, (vectors, found)

        grads, (vectors, metrics) = jax.grad(loss_fn, has_aux=True)(state.params["discriminator"])
        grads, metrics = mean((grads, metrics))
        # It is the discriminator that runs away.
        factor = config.stability.energy_backoff**state.rollbacks
        state = moved(state, "discriminator", grads, factor)
        extra = {**state.extra, "training": {"spectral": vectors}}
        metrics["grad_norm/discriminator"] = optax.tree.norm(grads)
        return state._replace(extra=extra), metrics

    def generator_step(state: TrainState, part, key):
        """One step of G on as many latents as a part has examples: (state, metrics)."""
        vectors = state.extra["training"]["spectral"]
        discriminator, _ = spectral_normalise(state.params["discriminator"], vectors)
        keys = randomness.per_example(key, part["index"])
        z = initial_latents(keys, "generator", generator.latent_shape)

        def loss_fn(params):
            images, statistics = generator.learn(params, state.extra["statistics"], z)
            return -jnp.mean(critic.apply(discriminator, images)), statistics

        (loss, statistics), grads = jax.value_and_grad(loss_fn, has_aux=True)(
            state.params["generator"]
        )
        grads, loss = mean((grads, loss))
        metrics = {"loss/generator": loss, "grad_norm/generator": optax.tree.norm(grads)}
        state = moved(state, "generator", grads, 1.0)
        return state._replace(extra={**state.extra, "statistics": statistics}), metrics

    def moved(state, group, grads, factor):
        params, opt_state = optimiser(group).update(
            grads, state.opt_state[group], state.params[group], state.step, factor
        )
        return state._replace(
            params={**state.params, group: params}, opt_state={**state.opt_state, group: opt_state}
        )

    def update(state: TrainState, batch, key):
        """`discriminator_steps` of D, each on its part of the batch, then one of G."""
        share = len(batch["index"])
        if share % steps:
            devices = config.data.batch_size // share
            raise ConfigError(
                f"data.batch_size is {config.data.batch_size}, of which each of {devices} devices "
                f"has {share}, no multiple of gan.discriminator_steps = {steps}; use a multiple of "
                f"{steps * devices}."
            )
        parts = jax.tree.map(  # dealt like cards: the same hands on any number of devices
            lambda leaf: jnp.swapaxes(leaf.reshape(-1, steps, *leaf.shape[1:]), 0, 1), batch
        )
        state, found = jax.lax.scan(
            lambda state, part: discriminator_step(state, part, key), state, parts
        )
        last = jax.tree.map(lambda leaf: leaf[-1], parts)
        state, metrics = generator_step(state, last, key)
        return state, metrics | jax.tree.map(jnp.mean, found)

    def decode(state, z):
        return generator.generate(state.params["generator"], state.extra["statistics"], z)

    return Method(
        name="sngan",
        init=init,
        update=update,
        sample=plain_sampler(decode, generator.latent_shape),
        posterior=None,
        reconstruct=None,
        log_score=None,
        energy=None,
        has_energy=False,
        advice="lower the rates of optim.generator and optim.discriminator",
    )
