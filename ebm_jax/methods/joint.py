"""Joint latent-space EBM prior for multi-layer generators (CVPR 2023), and its baselines.

Learning is by MCMC (Langevin for the posterior and for the prior) or variational (an inference net
in place of the posterior chain). Without energies the same code is a hierarchical VAE, a VAE
(L = 1), or alternating back-propagation (MCMC); with L = 1 it is LEBM.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from ebm_jax import randomness
from ebm_jax.densities import likelihoods
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.densities.joint import JointDensity, learning_loss
from ebm_jax.errors import ConfigError
from ebm_jax.methods import evidence, latent_chains
from ebm_jax.methods.accumulation import in_parts
from ebm_jax.methods.base import (
    InferenceState,
    LatentMaps,
    Method,
    Samples,
    check_images,
    first_state,
)
from ebm_jax.methods.metrics import chain_metrics
from ebm_jax.methods.optimisers import group_optimiser, learning_rate
from ebm_jax.models import latent_variable
from ebm_jax.nn.spectral import init_vectors, spectral_normalise


def build(
    config, axis_name: str | None = None, build_model: Callable = latent_variable.build
) -> Method:
    """The method's pure functions for one experiment.

    Args:
      config: `method.learning` is 'variational' or 'mcmc'; see configs/base.py for the rest.
      axis_name: the mapped axis to average over, or None.
      build_model: (config, num_outputs, with_inference=) → LatentVariableModel.

    Raises:
      ConfigError: settings that do not fit together.
    """
    if config.method.learning not in ("variational", "mcmc"):
        raise ConfigError(
            f"method.learning is '{config.method.learning}'; use 'variational' or 'mcmc'."
        )
    if tuple(config.data.range) != (-1.0, 1.0):
        raise ConfigError(
            f"data.range is {tuple(config.data.range)}; the likelihoods of method "
            f"'{config.method.name}' need "
            "(-1.0, 1.0)."
        )
    if config.model.energy.zero_init and config.model.energy.spectral_norm:
        raise ConfigError(
            "model.energy.zero_init and model.energy.spectral_norm are both on, but normalising "
            "the last layer undoes its small start; turn one of them off."
        )
    variational = config.method.learning == "variational"
    prior_cfg, posterior_cfg = config.sampler.prior, config.sampler.posterior
    likelihood = likelihoods.build(config.model.likelihood, config.data.channels)
    model = build_model(
        config,
        likelihood.num_outputs(config.data.channels),
        with_inference=variational or posterior_cfg.init == "inference",
    )
    if config.eval.posterior not in ("inference", "langevin"):
        raise ConfigError(
            f"eval.posterior is '{config.eval.posterior}'; use 'inference' or 'langevin'."
        )
    if config.eval.posterior == "inference" and not model.has_inference:
        raise ConfigError(
            "eval.posterior is 'inference', but MCMC learning has no inference net; set "
            "eval.posterior to 'langevin', or sampler.posterior.init to 'inference'."
        )
    num_layers = len(config.model.latent_sizes)
    density = JointDensity(
        log_likelihood=lambda params, x, z: likelihood.log_prob(model.decode(params, z), x),
        prior=lambda params: hierarchical_prior(
            functools.partial(model.conditional, params), num_layers
        ),
        neg_energy=model.neg_energy,
    )
    chains = latent_chains.build(config, density, model)
    warmup = config.train.warmup_steps
    spectral = model.has_energy and config.model.energy.spectral_norm

    def optimiser(group):
        cfg = config.optim[group]
        starts = warmup if group == "energy" else 0  # the energies wait for the warm-up's end
        rate = learning_rate(cfg, warmup - starts, config.data.num_examples, config.data.batch_size)
        return group_optimiser(cfg, rate, first_step=starts)

    def normalised(params, extra):
        """Applies spectral normalisation once, outside of every chain: (params, extra)."""
        if not spectral:
            return params, extra
        energy, vectors = spectral_normalise(params["energy"], extra["spectral"])
        return {**params, "energy": energy}, {**extra, "spectral": vectors}

    def init(key, batch):
        check_images(config, batch)
        params = model.init(randomness.stream(key, "params"))
        extra = {}
        if spectral:
            vectors = init_vectors(params["energy"], randomness.stream(key, "spectral"))
            extra["spectral"] = vectors
        opt_state = {group: optimiser(group).init(params[group]) for group in params}
        return first_state(params, opt_state, extra)

    def negatives(params, keys, joint):
        """Latents of the EBM prior and the chain's Info; zeros, unused, during the warm-up."""

        def run(_):
            chain = chains.prior(params, keys, prior_cfg.num_steps)
            return chain.position, chain.info

        def skip(_):
            shapes = jax.eval_shape(run, 0)
            return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        return jax.lax.cond(joint, run, skip, 0) if warmup else run(0)

    def gradients(state, fixed, batch, key):
        """(gradients, metrics) of one batch; `fixed` are the chains' parameters, normalised."""
        x = batch["image"]
        keys = randomness.per_example(key, batch["index"])
        joint = (state.step >= warmup).astype(x.dtype)  # 0 in the warm-up, then 1
        gated = density._replace(neg_energy=lambda p, z: joint * density.neg_energy(p, z))
        metrics = {}
        z_negative = z_chain = None
        if model.has_energy:
            z_negative, info = negatives(fixed, keys, joint > 0)
            metrics |= chain_metrics("prior", info)
        if not variational:
            chain = chains.posterior(fixed, gated, keys, x, posterior_cfg.num_steps)
            z_chain = chain.position
            metrics |= chain_metrics("posterior", chain.info)

        def loss_fn(params):
            params, _ = normalised(params, state.extra)
            if model.has_inference:
                z_inferred, log_q = model.infer(params, x, chains.noise(keys, "inference"))
            z_positive = z_inferred if variational else z_chain
            loss, parts = learning_loss(gated, params, x, z_positive, z_negative, joint)
            if variational:
                loss += jnp.mean(log_q)
            elif model.has_inference:  # q learns beside the chain that starts from it
                others = jax.lax.stop_gradient({**params, "inference": None})
                loss += learning_loss(gated, others, x, z_inferred, None)[0] + jnp.mean(log_q)
            if model.has_inference:
                parts["loss/log_q"] = jnp.mean(log_q)
            if model.has_energy and config.optim.energy_l2:
                f_positive = gated.neg_energy(params, jax.lax.stop_gradient(z_positive))
                f_negative = gated.neg_energy(params, z_negative)
                penalty = jnp.mean(f_positive**2) + jnp.mean(f_negative**2)
                loss += config.optim.energy_l2 * penalty
                parts["loss/energy_l2"] = penalty
            mean = likelihood.mean(model.decode(params, z_positive))
            parts["loss/reconstruction_mse"] = jnp.mean((mean - x) ** 2) / 4  # in [0, 1] units
            return loss, parts | {"loss/total": loss}

        grads, parts = jax.grad(loss_fn, has_aux=True)(state.params)
        return grads, metrics | parts

    def update(state, batch, key):
        fixed, extra = normalised(state.params, state.extra)
        grads, metrics = in_parts(
            lambda part: gradients(state, fixed, part, key), batch, config.train.accumulate
        )
        if axis_name:
            grads, metrics, extra = jax.lax.pmean((grads, metrics, extra), axis_name)
        params, opt_state = {}, {}
        for group, value in state.params.items():
            metrics[f"grad_norm/{group}"] = optax.tree.norm(grads[group])
            # Both groups learn from the negative phase, which is where learning runs away.
            backs_off = model.has_energy and group in ("energy", "prior")
            factor = config.stability.energy_backoff**state.rollbacks if backs_off else 1.0
            params[group], opt_state[group] = optimiser(group).update(
                grads[group], state.opt_state[group], value, state.step, factor
            )
        return state._replace(params=params, opt_state=opt_state, extra=extra), metrics

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
        if prior not in ("ebm", "gaussian"):
            raise ConfigError(f"prior is '{prior}'; use 'ebm' or 'gaussian'.")
        params, _ = normalised(*state)
        keys = randomness.per_example(key, start + jnp.arange(n))
        if prior != "ebm" or not model.has_energy:
            z, _ = density.prior(params).to_z(chains.noise(keys, "start"))
            return Samples(likelihood.mean(model.decode(params, z)), z, None, None, None)
        steps = num_steps or config.eval.prior_steps or prior_cfg.num_steps
        chain = chains.prior(params, keys, steps, keep_every)
        trajectory = None
        if chain.trajectory is not None and keep_images:
            trajectory = jax.lax.map(
                lambda z: likelihood.mean(model.decode(params, z)), chain.trajectory
            )
        images = likelihood.mean(model.decode(params, chain.position))
        return Samples(
            images, chain.position, chain.info, trajectory, chain.profile, chain.trajectory
        )

    def posterior(state: InferenceState, images, key, index):
        params, _ = normalised(*state)
        keys = randomness.per_example(key, index)
        if config.eval.posterior == "inference":
            return model.infer(params, images, chains.noise(keys, "inference"))[0]
        steps = posterior_cfg.num_steps
        return chains.posterior(params, density, keys, images, steps).position

    def decode(state: InferenceState, z):
        return likelihood.mean(model.decode(state.params, z))

    def reconstruct(state: InferenceState, images, key, index):
        return decode(state, posterior(state, images, key, index))

    def log_terms(state: InferenceState, images, key, index, k=0):
        if not 0 <= k < num_layers:
            raise ConfigError(f"k is {k}; with {num_layers} layers use 0 to {num_layers - 1}.")
        params, _ = normalised(*state)
        prior = density.prior(params)
        z = posterior(state, images, key, index)
        if k:
            z = chains.redraw(params, randomness.per_example(key, index), z, k)
        return {
            "likelihood": density.log_likelihood(params, images, z),
            "energy": density.neg_energy(params, z),
            "prior": prior.log_prob(z),
        }

    def log_score(state: InferenceState, images, key, index, k=0):
        return sum(log_terms(state, images, key, index, k).values())

    def energy(state: InferenceState, latents):
        params, _ = normalised(*state)
        return -density.neg_energy(params, latents)

    return Method(
        name="joint",
        init=init,
        update=update,
        sample=sample,
        posterior=posterior,
        reconstruct=reconstruct,
        log_score=log_score,
        energy=energy,
        has_energy=model.has_energy,
        advice=(
            "lower joint_learning_rate of optim.prior and the rate of optim.energy, or raise "
            "optim.energy_l2"
        ),
        log_terms=log_terms,
        evidence=evidence.build(
            config, density, model, likelihood, chains, lambda state: normalised(*state)[0]
        ),
        maps=LatentMaps(
            decode=decode,
            to_z=lambda state, u: density.prior(state.params).to_z(u)[0],
            to_u=lambda state, z: density.prior(state.params).to_u(z)[0],
        ),
    )
