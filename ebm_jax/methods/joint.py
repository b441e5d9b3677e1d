"""Joint latent-space EBM prior for multi-layer generators (CVPR 2023), and its baselines.

Learning is by MCMC (Langevin for the posterior and for the prior) or variational (an inference net
in place of the posterior chain). Without energies the same code is a hierarchical VAE, a VAE
(L = 1), or alternating back-propagation (MCMC); with L = 1 it is LEBM. In two stages the energies
alone learn, on a first stage without energies, which stays as it is.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ebm_jax import randomness
from ebm_jax.densities.joint import learning_loss
from ebm_jax.errors import ConfigError
from ebm_jax.methods import control, latent_model
from ebm_jax.methods.base import Method
from ebm_jax.methods.latent_model import LatentModel
from ebm_jax.methods.metrics import chain_metrics
from ebm_jax.methods.sampling import prior_steps
from ebm_jax.methods.warmup import after_warmup
from ebm_jax.models import backbones, energies


def build(
    config,
    axis_name: str | None = None,
    build_model: Callable = backbones.build,
    build_energies: Callable = energies.one_per_layer,
) -> Method:
    """The method's pure functions for one experiment.

    Args:
      config: `method.learning` is 'variational' or 'mcmc'; see configs/base.py for the rest.
      axis_name: the mapped axis to average over, or None.
      build_model: (config, num_outputs, with_inference=) → LatentVariableModel.
      build_energies: (config, latent shapes) → Energies.

    Raises:
      ConfigError: settings that do not fit together.
    """
    if config.method.stages not in (1, 2):
        raise ConfigError(f"method.stages is {config.method.stages}; use 1 or 2.")
    second = config.method.stages == 2
    parts = latent_model.build_parts(config, build_model, build_energies, second_stage=second)
    if parts.model.learn is not None and not second:
        raise ConfigError(
            f"model.generator.kind is '{config.model.generator.kind}', whose nets method 'nvae' "
            "learns; set method.stages to 2 and name such a run as train.first_stage."
        )
    chain = config.sampler.prior
    usual = (chain.space, chain.kernel, chain.legacy_log_sigma) == ("u", "langevin", False)
    if parts.coupling is not None and not usual:
        raise ConfigError(
            f"sampler.prior has space '{chain.space}', kernel '{chain.kernel}' and "
            f"legacy_log_sigma {chain.legacy_log_sigma}; samples by attributes take 'u', "
            "'langevin' and False."
        )
    advice = (
        "lower joint_learning_rate of optim.prior and the rate of optim.energy, or raise "
        "optim.energy_l2"
    )
    learning = _second_stage if second else _all_groups
    return latent_model.build_method(
        config,
        parts,
        name="joint",
        gradients=learning(config, parts),
        run=_runner(config, parts),
        advice=advice,
        axis_name=axis_name,
        builds_on=latent_model.BACKBONE_SETTINGS if second else (),
        needs_first_stage=second,
        control=control.build(
            parts,
            tilt=parts.density.neg_energy,
            run=lambda keys, tilt, start: parts.chains.tilted(
                keys, tilt, start, config.eval.request_steps or ((prior_steps(config), 1.0),)
            ),
        ),
    )


def _all_groups(config, parts: LatentModel) -> Callable:
    """`gradients` of all parameters together."""
    likelihood, model, density, chains = parts.likelihood, parts.model, parts.density, parts.chains
    variational = config.method.learning == "variational"

    def gradients(state, fixed, batch, key):
        x = batch["image"]
        keys = randomness.per_example(key, batch["index"])

        def negatives():
            if not parts.energies:
                return None
            return chains.prior(fixed, keys, config.sampler.prior.num_steps)

        joint, negative = after_warmup(config, state.step, negatives)
        gated = density._replace(neg_energy=lambda p, z: joint * density.neg_energy(p, z))
        metrics = {}
        z_negative = z_chain = None
        if negative is not None:
            z_negative = negative.position
            metrics |= chain_metrics("prior", negative.info)
        if not variational:
            chain = chains.posterior(fixed, gated, keys, x, config.sampler.posterior.num_steps)
            z_chain = chain.position
            metrics |= chain_metrics("posterior", chain.info)

        def loss_fn(params):
            params, _ = parts.normalised(params, state.extra)
            if model.has_inference:
                z_inferred, log_q = model.infer(params, x, chains.noise(keys, "inference"))
            z_positive = z_inferred if variational else z_chain
            loss, found = learning_loss(gated, params, x, z_positive, z_negative, joint)
            if variational:
                loss += jnp.mean(log_q)
            elif model.has_inference:  # q learns beside the chain that starts from it
                others = jax.lax.stop_gradient({**params, "inference": None})
                loss += learning_loss(gated, others, x, z_inferred, None)[0] + jnp.mean(log_q)
            if model.has_inference:
                found["loss/log_q"] = jnp.mean(log_q)
            if parts.energies and config.optim.energy_l2:
                f_positive = gated.neg_energy(params, jax.lax.stop_gradient(z_positive))
                f_negative = gated.neg_energy(params, z_negative)
                loss += _penalty(config, f_positive, f_negative, found)
            mean = likelihood.mean(model.decode(params, z_positive))
            found["loss/reconstruction_mse"] = jnp.mean((mean - x) ** 2) / 4  # in [0, 1] units
            return loss, found | {"loss/total": loss}

        grads, found = jax.grad(loss_fn, has_aux=True)(state.params)
        return grads, metrics | found, {}

    return gradients


def _second_stage(config, parts: LatentModel) -> Callable:
    """`gradients` of the energies, all else being a first stage's: −(E⁺[∇F] − E⁻[∇F])."""
    model, chains = parts.model, parts.chains

    def gradients(state, fixed, batch, key):
        keys = randomness.per_example(key, batch["index"])
        z_positive, _ = model.infer(fixed, batch["image"], chains.noise(keys, "inference"))
        values = parts.attributes.values(fixed, batch, z_positive)
        joint, chain = after_warmup(
            config,
            state.step,
            lambda: chains.prior(fixed, keys, config.sampler.prior.num_steps),
        )

        def loss_fn(learned):
            params, _ = parts.normalised({**fixed, **learned}, state.extra)
            positive = sum(parts.terms(params, z_positive))
            negative = sum(parts.terms(params, chain.position))
            loss = joint * (jnp.mean(negative) - jnp.mean(positive))
            found = {"energy/positive": -jnp.mean(positive), "energy/negative": -jnp.mean(negative)}
            loss += joint * _penalty(config, positive, negative, found)
            coupled, seen = parts.attributes.loss(params, values, joint, z_positive, chain.position)
            return loss + coupled, found | seen | {"loss/total": loss + coupled}

        grads, found = jax.grad(loss_fn, has_aux=True)(parts.learned(state.params))
        return grads, chain_metrics("prior", chain.info) | found, {}

    return gradients


def _penalty(config, positive, negative, found):
    """On the squared energies of both phases, 0 without; its size goes to the metrics `found`."""
    if not config.optim.energy_l2:
        return 0.0
    found["loss/energy_l2"] = jnp.mean(positive**2) + jnp.mean(negative**2)
    return config.optim.energy_l2 * found["loss/energy_l2"]


def _runner(config, parts: LatentModel) -> Callable:
    """`run` of `latent_model.build_method`."""

    def run(state, keys, num_steps, keep_every):
        params, _ = parts.normalised(*state)
        steps = num_steps or prior_steps(config)
        return parts.chains.prior(params, keys, steps, keep_every)

    return run
