"""Deep hierarchical VAE (NVAE; Vahdat and Kautz, NeurIPS 2020): a first stage for energies.

The negative ELBO with the KL term of each group weighted: all of them rise from 0 in a line, and
until they have, groups with little information cost less than those with much, so that none
collapses. The largest singular values of all convolutions are kept small.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.methods import latent_model
from ebm_jax.methods.base import Method
from ebm_jax.models import backbones, energies
from ebm_jax.nn.spectral import init_vectors, spectral_norms

_GROUPS = ("generator", "inference")


def build(config, axis_name: str | None = None) -> Method:
    """The method's pure functions for one experiment.

    Args:
      config: `nvae` has the settings of the loss, see configs/nvaes.py.
      axis_name: the mapped axis to average over, or None.

    Raises:
      ConfigError: settings that do not fit together.
    """
    _check(config)
    cfg = config.nvae
    parts = latent_model.build_parts(
        config, functools.partial(backbones.build, axis_name=axis_name), energies.one_per_layer
    )
    balance = balancing(tuple(config.model.generator.scales))

    def gradients(state, fixed, batch, key):
        x = batch["image"]
        keys = randomness.per_example(key, batch["index"])
        noise = parts.chains.noise(keys, "inference")
        vectors = state.extra["training"]["spectral"]
        coefficient = 1.0
        if cfg.kl_warmup:
            coefficient = jnp.minimum(state.step / (cfg.kl_warmup * config.train.num_steps), 1.0)

        def loss_fn(params):
            nets = {**params, "statistics": state.extra["statistics"]}
            raw, kl, statistics = parts.model.learn(nets, x, noise)
            log_likelihood = jnp.mean(parts.likelihood.log_prob(raw, x))
            kl = jnp.mean(kl, axis=1)
            whole = kl if axis_name is None else jax.lax.pmean(kl, axis_name)
            weights = jnp.where(coefficient < 1.0, balance(whole), 1.0)
            norms, moved = spectral_norms(params, vectors)
            spectral = sum(jax.tree.leaves(norms))
            loss = coefficient * jnp.sum(weights * kl) - log_likelihood
            found = {
                "loss/log_likelihood": log_likelihood,
                "loss/kl": jnp.sum(kl),
                "loss/negative_elbo": jnp.sum(kl) - log_likelihood,
                "loss/spectral": spectral,
                **{f"kl/layer_{i + 1}": value for i, value in enumerate(kl)},
            }
            mean = parts.likelihood.mean(raw)
            found["loss/reconstruction_mse"] = jnp.mean((mean - x) ** 2) / 4  # in [0, 1] units
            loss += cfg.spectral_weight * spectral
            found["loss/total"] = loss
            return loss, (found, statistics, moved)

        learned = {group: state.params[group] for group in _GROUPS}
        grads, (found, statistics, moved) = jax.grad(loss_fn, has_aux=True)(learned)
        return grads, found, {"statistics": statistics, "training": {"spectral": moved}}

    def recalibrate(state, key, num_batches):
        batch_size = config.data.batch_size

        def take(statistics, number):
            index = number * batch_size + jnp.arange(batch_size)
            noise = parts.chains.noise(randomness.per_example(key, index), "start")
            nets = {**state.params, "statistics": statistics}
            return parts.model.recalibrate(nets, noise), None

        statistics = state.extra["statistics"]
        statistics, _ = jax.lax.scan(take, statistics, jnp.arange(num_batches))
        return state._replace(extra={**state.extra, "statistics": statistics})

    method = latent_model.build_method(
        config,
        parts,
        name="nvae",
        gradients=gradients,
        run=None,
        advice="lower the rates of optim.generator and optim.inference, or raise "
        "nvae.spectral_weight",
        axis_name=axis_name,
        runs_away=_GROUPS,
        recalibrate=recalibrate,
    )

    def init(key, batch):
        state = method.init(key, batch)
        learned = {group: state.params[group] for group in _GROUPS}
        vectors = init_vectors(learned, randomness.stream(key, "spectral"))
        vectors = jax.tree.map(lambda p, v: v if p.ndim == 4 else None, learned, vectors)
        return state._replace(extra={**state.extra, "training": {"spectral": vectors}})

    return method._replace(init=init)


def balancing(scales: tuple[int, ...]):
    """KL of each group [L] → weights [L] of mean 1, which no gradient flows through.

    A group's weight is proportional to its KL, so that the loss hardly punishes groups that say
    little yet, and inversely to (positions of its maps) / (groups of its scale): finer maps hold
    more numbers (NVAE, §3.2).

    Args:
      scales: groups of each scale, finest first.
    """
    size = [0.25**scale / groups for scale, groups in enumerate(scales) for _ in range(groups)]
    size = np.asarray(size, np.float32) / min(size)

    def weights(kl):
        found = (jnp.abs(jax.lax.stop_gradient(kl)) + 0.01) / size
        return found / jnp.mean(found)

    return weights


def _check(config) -> None:
    """Raises ConfigError for settings that make no sense."""
    if config.model.generator.kind != "nvae":
        raise ConfigError(
            f"model.generator.kind is '{config.model.generator.kind}'; method 'nvae' has 'nvae' "
            "(method 'joint' without energies learns the others)."
        )
    if config.model.energy.enabled:
        raise ConfigError(
            "model.energy.enabled is True, but method 'nvae' learns the backbone alone; set it to "
            "False here, and use method 'joint' or 'diffusion' for energies on the finished run."
        )
    if config.method.learning != "variational":
        raise ConfigError(
            f"method.learning is '{config.method.learning}'; method 'nvae' has 'variational'."
        )
    if config.train.ema_decay:
        raise ConfigError(
            f"train.ema_decay is {config.train.ema_decay}, but the statistics of batch "
            "normalisation are those of the newest parameters; use 0."
        )
    if config.train.accumulate != 1:
        raise ConfigError(
            f"train.accumulate is {config.train.accumulate}, but batch normalisation and the "
            "balance of KL terms are of the whole batch; use 1."
        )
    if not 0 <= config.nvae.kl_warmup <= 1:
        raise ConfigError(
            f"nvae.kl_warmup is {config.nvae.kl_warmup}; it is a fraction of training, 0 to 1."
        )
    if not config.nvae.spectral_weight >= 0:
        raise ConfigError(
            f"nvae.spectral_weight is {config.nvae.spectral_weight}; it must not be negative."
        )
