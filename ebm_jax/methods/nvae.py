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

        def loss_fn(params):
            nets = {**params, "statistics": state.extra["statistics"]}
            raw, kl, statistics = parts.model.learn(nets, x, noise)
            log_likelihood = jnp.mean(parts.likelihood.log_prob(raw, x))
            kl = jnp.mean(kl, axis=1)
            coefficient = jnp.clip(state.step / max(cfg.kl_warmup_steps, 1), 0.0, 1.0)
            weights = jnp.where(coefficient < 1.0, balance(kl), 1.0)
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

    method = latent_model.build_method(
        config,
        parts,
        name="nvae",
        gradients=gradients,
        run=None,
        advice="lower the rates of optim.generator and optim.inference, or raise "
        "nvae.spectral_weight",
        axis_name=axis_name,
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
    little yet, and to the inverse of 4^s / groups of its scale, s = 0 at the coarsest: finer maps
    hold more numbers (NVAE, §3.2).

    Args:
      scales: groups of each scale, finest first.
    """
    depth = len(scales) - 1
    size = [4.0 ** (depth - s) / groups for s, groups in enumerate(scales) for _ in range(groups)]
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
    for name in ("kl_warmup_steps", "spectral_weight"):
        if not config.nvae[name] >= 0:
            raise ConfigError(f"nvae.{name} is {config.nvae[name]}; it must not be negative.")
