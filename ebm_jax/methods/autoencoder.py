"""Deterministic autoencoder on the sphere: the first stage of retrofit (Hat EBM, NeurIPS 2022).

Latents have the norm of a draw of N(0, I), and the decoder learns to bear noise around them, but
nothing makes it a sampler: that is left to the Hat EBM of a second stage.
"""

import jax
import jax.numpy as jnp
import optax

from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.methods.accumulation import in_parts
from ebm_jax.methods.base import (
    InferenceState,
    Method,
    TrainState,
    check_images,
    first_state,
)
from ebm_jax.methods.optimisers import optimisers_of
from ebm_jax.methods.sampling import plain_sampler
from ebm_jax.models import hat
from ebm_jax.samplers import normal_like

_GROUPS = ("generator", "inference")


def build(config, axis_name: str | None = None) -> Method:
    """The method's pure functions for one experiment.

    Args:
      config: `autoencoder` has the noise and the loss's weight, see configs/hats.py.
      axis_name: the mapped axis to average over, or None.

    Raises:
      ConfigError: settings that do not fit together.
    """
    cfg = config.autoencoder
    hat.check_range(config)
    for name in ("latent_noise", "weight"):
        if cfg[name] < 0:
            raise ConfigError(f"autoencoder.{name} is {cfg[name]}; it must not be negative.")
    if config.eval.posterior != "encoder":
        raise ConfigError(
            f"eval.posterior is '{config.eval.posterior}'; an autoencoder has an 'encoder'."
        )
    decoder, encoder = hat.build_generator(config), hat.build_encoder(config)

    optimiser = optimisers_of(config)

    def init(key, batch):
        check_images(config, batch)
        key = randomness.stream(key, "params")
        params, statistics = decoder.init(jax.random.fold_in(key, 0))
        params = {"generator": params, "inference": encoder.init(jax.random.fold_in(key, 1))}
        opt_state = {group: optimiser(group).init(params[group]) for group in _GROUPS}
        return first_state(params, opt_state, {"statistics": statistics})

    def gradients(params, extra, batch, key):
        keys = randomness.streams(randomness.per_example(key, batch["index"]), "latents")

        def loss_fn(params):
            z = encoder.apply(params["inference"], batch["image"])
            z += cfg.latent_noise * normal_like(keys, z)
            restored = decoder.generate(params["generator"], extra["statistics"], z)
            mse = jnp.mean((restored - batch["image"]) ** 2)
            loss = cfg.weight * mse
            # Of pixels in [0, 1], as every reconstruction error is given.
            return loss, {"loss/total": loss, "loss/reconstruction_mse": mse / 4}

        return jax.grad(loss_fn, has_aux=True)(params)

    def update(state: TrainState, batch, key):
        grads, metrics = in_parts(
            lambda part: gradients(state.params, state.extra, part, key),
            batch,
            config.train.accumulate,
        )
        if axis_name is not None:
            grads, metrics = jax.lax.pmean((grads, metrics), axis_name)
        params, opt_state = {}, {}
        for group in _GROUPS:
            metrics[f"grad_norm/{group}"] = optax.tree.norm(grads[group])
            params[group], opt_state[group] = optimiser(group).update(
                grads[group],
                state.opt_state[group],
                state.params[group],
                state.step,
                config.stability.energy_backoff**state.rollbacks,
            )
        return state._replace(params=params, opt_state=opt_state), metrics

    def decode(state, z):
        return decoder.generate(state.params["generator"], state.extra["statistics"], z)

    def posterior(state: InferenceState, images, key, index):
        return encoder.apply(state.params["inference"], images)

    def reconstruct(state: InferenceState, images, key, index):
        return decode(state, posterior(state, images, key, index))

    return Method(
        name="autoencoder",
        init=init,
        update=update,
        sample=plain_sampler(decode, decoder.latent_shape),
        posterior=posterior,
        reconstruct=reconstruct,
        log_score=None,
        energy=None,
        has_energy=False,
        advice="lower the rates of optim.generator and optim.inference",
    )
