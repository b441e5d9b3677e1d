"""What the methods with a hierarchical prior share: parts, state, and how they are used.

They differ in what their energies learn from and in how they sample.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ebm_jax import randomness
from ebm_jax.densities import likelihoods
from ebm_jax.densities.joint import JointDensity
from ebm_jax.densities.likelihoods import Likelihood
from ebm_jax.errors import ConfigError
from ebm_jax.methods import attributes as attributes_of
from ebm_jax.methods import evidence, latent_chains
from ebm_jax.methods.accumulation import in_parts
from ebm_jax.methods.attributes import Attributes
from ebm_jax.methods.base import InferenceState, LatentMaps, Method, check_images, first_state
from ebm_jax.methods.latent_chains import LatentChains
from ebm_jax.methods.optimisers import group_optimiser, learning_rate
from ebm_jax.methods.sampling import sampler
from ebm_jax.models import coupling as couplings
from ebm_jax.models.coupling import Coupling
from ebm_jax.models.energies import Energies
from ebm_jax.models.latent_variable import LatentVariableModel
from ebm_jax.nn.spectral import init_vectors, spectral_normalise

BACKBONE_SETTINGS = (  # in which a first stage must be the same
    *("data.name", "data.image_size", "data.channels", "data.range", "data.crop"),
    *("model.latent_sizes", "model.prior.hidden", "model.prior.sigma_floor"),
    *("model.generator.kind", "model.generator.hidden", "model.generator.inputs"),
    *("model.generator.scales", "model.generator.latent_side", "model.generator.patch"),
    *("model.generator.cells", "model.inference.cells", "model.inference.kind"),
    *("model.inference.hidden", "model.inference.latent_hidden"),
    *("model.likelihood.kind", "model.likelihood.sigma", "model.likelihood.mixtures"),
)


class LatentModel(NamedTuple):
    """A config's model, as the parts that chains and learning are made of.

    Attributes:
      likelihood: p(x|z), of the decoder's raw outputs.
      model: the nets.
      energies: or None without.
      terms: (params, z) → (f_1, f_2, …), each [B], without levels: those of level 0 for the
        energies of a diffusion.
      coupling: of attributes with latents, or None without.
      density: p(x, z), whose F is the sum of the terms, 0 without energies, and of the coupling's
        marginal.
      chains: on `density`.
      second_stage: whether energies and coupling alone learn, all else being a first stage's.
      normalised: (params, extra) → both: the parameters with the statistics that the nets have
        beside them, and with spectral normalisation applied where the config has it, once and
        outside of every chain.
      attributes: how the coupling is part of density and loss.
    """

    likelihood: Likelihood
    model: LatentVariableModel
    energies: Energies | None
    terms: Callable[..., tuple[jax.Array, ...]]
    coupling: Coupling | None
    density: JointDensity
    chains: LatentChains
    second_stage: bool
    normalised: Callable[[Any, Any], tuple[Any, Any]]
    attributes: Attributes

    def learned(self, params: dict[str, Any]) -> dict[str, Any]:
        """The groups that learn."""
        if not self.second_stage:
            return params
        return {group: params[group] for group in ("energy", "coupling") if group in params}


def build_parts(
    config,
    build_model: Callable,
    build_energies: Callable,
    *,
    second_stage: bool = False,
    energy_terms: Callable | None = None,
    timed: bool = False,
) -> LatentModel:
    """The parts of one experiment.

    Args:
      config: `method.learning` is 'variational' or 'mcmc'; see configs/base.py for the rest.
      build_model: (config, num_outputs, with_inference=) → LatentVariableModel.
      build_energies: (config, latent shapes) → Energies.
      second_stage: whether all but the energies is a first stage's.
      energy_terms: (Energies, the group's parameters, z) → (f_1, f_2, …); default: its terms.
      timed: whether energies and coupling know the level of a diffusion.

    Raises:
      ConfigError: settings that do not fit together.
    """
    _check(config)
    if second_stage:
        _check_second_stage(config)
    posterior_cfg = config.sampler.posterior
    variational = config.method.learning == "variational"
    likelihood = likelihoods.build(config.model.likelihood, config.data.channels)
    model = build_model(
        config,
        likelihood.num_outputs(config.data.channels),
        with_inference=variational or posterior_cfg.init == "inference",
    )
    if config.eval.posterior == "inference" and not model.has_inference:
        raise ConfigError(
            "eval.posterior is 'inference', but MCMC learning has no inference net; set "
            "eval.posterior to 'langevin', or sampler.posterior.init to 'inference'."
        )
    energies = build_energies(config, model.latent_shapes) if config.model.energy.enabled else None

    def terms(params, z):
        if energy_terms is not None:
            return energy_terms(energies, params["energy"], z)
        return energies.terms(params["energy"], z)

    coupling = couplings.build(config, model.latent_shapes, timed=timed)
    if coupling is not None and not second_stage:
        raise ConfigError(
            "data.attributes is set, but attributes are coupled with the latents of a first stage "
            "only; use method 'diffusion', or 'joint' with method.stages = 2."
        )

    attributes = attributes_of.build(
        config, coupling, lambda params, z: likelihood.mean(model.decode(params, z))
    )

    def total(params, z):
        if energies is None:
            return jnp.zeros(z[0].shape[0])
        level = (jnp.zeros(z[0].shape[0], jnp.int32),) if timed else ()
        return sum(terms(params, z)) + attributes.marginal(params, z, *level)

    density = JointDensity(
        log_likelihood=lambda params, x, z: likelihood.log_prob(model.decode(params, z), x),
        prior=model.prior,
        neg_energy=total,
    )

    def normalised(params, extra):
        if "statistics" in extra:
            params = {**params, "statistics": extra["statistics"]}
        if "spectral" not in extra:
            return params, extra
        energy, vectors = spectral_normalise(params["energy"], extra["spectral"])
        return {**params, "energy": energy}, {**extra, "spectral": vectors}

    return LatentModel(
        likelihood=likelihood,
        model=model,
        energies=energies,
        terms=terms,
        coupling=coupling,
        density=density,
        chains=latent_chains.build(config, density, model),
        second_stage=second_stage,
        normalised=normalised,
        attributes=attributes,
    )


def build_method(
    config,
    parts: LatentModel,
    *,
    name: str,
    gradients: Callable,
    run: Callable,
    advice: str,
    axis_name: str | None = None,
    runs_away: tuple[str, ...] = ("energy", "coupling", "prior"),
    **fields: Any,
) -> Method:
    """The Method of these parts.

    Args:
      config: the experiment's.
      parts: its parts.
      name: the method's.
      gradients: (state, fixed, batch, key) → ({group: gradients}, metrics, moved) of the learned
        groups; `fixed` are the parameters of chains, normalised, and `moved` is what becomes of
        parts of `state.extra`.
      run: (state, keys, num_steps or None, keep_every) → Chain of latents on the EBM prior.
      advice: what to change when training diverges.
      axis_name: the mapped axis to average over, or None.
      runs_away: groups that take smaller steps after a roll-back. By default those that learn from
        the negative phase, where there is one.
      **fields: others of Method.
    """
    likelihood, model, density, chains = parts.likelihood, parts.model, parts.density, parts.chains
    has_energy = parts.energies is not None
    num_layers = len(model.latent_shapes)
    warmup = config.train.warmup_steps

    def optimiser(group):
        cfg = config.optim[group]
        starts = warmup if group == "energy" else 0  # the energies wait for the warm-up's end
        rate = learning_rate(cfg, warmup - starts, config.data.num_examples, config.data.batch_size)
        return group_optimiser(cfg, rate, first_step=starts)

    def init(key, batch, first=None):
        check_images(config, batch)
        params_key = randomness.stream(key, "params")
        params, extra = model.init(params_key), {}
        if first is not None:
            params = _taken(config, first, params)
        if "statistics" in params:
            extra["statistics"] = params.pop("statistics")
        if has_energy:
            params["energy"] = parts.energies.init(params_key)
            if config.model.energy.spectral_norm:
                vectors = init_vectors(params["energy"], randomness.stream(key, "spectral"))
                extra["spectral"] = vectors
        if parts.coupling is not None:
            params["coupling"] = parts.coupling.init(params_key)
        learned = parts.learned(params)
        opt_state = {group: optimiser(group).init(learned[group]) for group in learned}
        return first_state(params, opt_state, extra)

    def update(state, batch, key):
        fixed, extra = parts.normalised(state.params, state.extra)
        grads, metrics, moved = in_parts(
            lambda part: gradients(state, fixed, part, key), batch, config.train.accumulate
        )
        if axis_name:
            grads, metrics, moved = jax.lax.pmean((grads, metrics, moved), axis_name)
        extra = {**extra, **moved}
        params, opt_state = dict(state.params), {}
        for group in state.opt_state:
            metrics[f"grad_norm/{group}"] = optax.tree.norm(grads[group])
            backs_off = group in runs_away and (has_energy or "energy" not in runs_away)
            factor = config.stability.energy_backoff**state.rollbacks if backs_off else 1.0
            params[group], opt_state[group] = optimiser(group).update(
                grads[group], state.opt_state[group], params[group], state.step, factor
            )
        return state._replace(params=params, opt_state=opt_state, extra=extra), metrics

    def params_of(state: InferenceState):
        return parts.normalised(*state)[0]

    def draw(state, keys):
        z, _ = density.prior(params_of(state)).to_z(chains.noise(keys, "start"))
        return decode(state, z), z

    def run_to_images(state, keys, num_steps, keep_every):
        return run(state, keys, num_steps, keep_every), lambda z: decode(state, z)

    def posterior(state: InferenceState, images, key, index):
        params = params_of(state)
        keys = randomness.per_example(key, index)
        if config.eval.posterior == "inference":
            return model.infer(params, images, chains.noise(keys, "inference"))[0]
        steps = config.sampler.posterior.num_steps
        return chains.posterior(params, density, keys, images, steps).position

    def decode(state: InferenceState, z):
        return likelihood.mean(model.decode(params_of(state), z))

    def reconstruct(state: InferenceState, images, key, index):
        return decode(state, posterior(state, images, key, index))

    def log_terms(state: InferenceState, images, key, index, k=0):
        if not 0 <= k < num_layers:
            raise ConfigError(f"k is {k}; with {num_layers} layers use 0 to {num_layers - 1}.")
        params = params_of(state)
        z = posterior(state, images, key, index)
        if k:
            z = chains.redraw(params, randomness.per_example(key, index), z, k)
        return {
            "likelihood": density.log_likelihood(params, images, z),
            "energy": density.neg_energy(params, z),
            "prior": density.prior(params).log_prob(z),
        }

    def log_score(state: InferenceState, images, key, index, k=0):
        return sum(log_terms(state, images, key, index, k).values())

    def layer_terms(state: InferenceState, images, key, index):
        found = parts.terms(params_of(state), posterior(state, images, key, index))
        return {f"layer_{i + 1}": values for i, values in enumerate(found)}

    def energy(state: InferenceState, latents):
        return -density.neg_energy(params_of(state), latents)

    return Method(
        name=name,
        init=init,
        update=update,
        sample=sampler(draw, run_to_images if has_energy else None),
        posterior=posterior,
        reconstruct=reconstruct,
        log_score=log_score,
        energy=energy,
        has_energy=has_energy,
        advice=advice,
        log_terms=log_terms,
        layer_terms=layer_terms if has_energy and parts.energies.per_layer else None,
        evidence=evidence.build(config, density, model, likelihood, chains, params_of),
        maps=LatentMaps(
            decode=decode,
            to_z=lambda state, u: density.prior(params_of(state)).to_z(u)[0],
            to_u=lambda state, z: density.prior(params_of(state)).to_u(z)[0],
        ),
        **fields,
    )


def _taken(config, first: InferenceState, own):
    """The first stage's parameters, where they are a backbone with the shapes of `own`.

    Raises:
      ConfigError: they are not.
    """
    where = f"train.first_stage '{config.train.first_stage}'"
    if "energy" in first.params:
        raise ConfigError(
            f"{where} has energies of its own; name a run with model.energy.enabled = False."
        )
    taken = dict(first.params)
    if "statistics" in first.extra:
        taken["statistics"] = first.extra["statistics"]
    shapes, theirs = (jax.tree.map(lambda leaf: tuple(leaf.shape), dict(p)) for p in (own, taken))
    if theirs != shapes:
        groups = [name for name in {*shapes, *theirs} if shapes.get(name) != theirs.get(name)]
        raise ConfigError(
            f"{where} has other nets than this config in {', '.join(sorted(groups))}; use that "
            "run's model settings, or name another run."
        )
    return taken


def _check(config) -> None:
    """Raises ConfigError for settings that do not fit together."""
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
    if config.eval.posterior not in ("inference", "langevin"):
        raise ConfigError(
            f"eval.posterior is '{config.eval.posterior}'; use 'inference' or 'langevin'."
        )


def _check_second_stage(config) -> None:
    """Likewise for energies on a first stage."""
    if config.method.learning != "variational":
        raise ConfigError(
            f"method.learning is '{config.method.learning}', but the first stage's inference net "
            "gives the latents that energies learn from; use 'variational'."
        )
    if not config.model.energy.enabled:
        raise ConfigError(
            "model.energy.enabled is False, but on a first stage the energies are all that "
            "learns; leave it True."
        )
    if config.train.warmup_steps and not config.data.get("attributes"):
        raise ConfigError(
            f"train.warmup_steps is {config.train.warmup_steps}, but on a first stage nothing is "
            "left to warm up but a coupling with attributes; use 0, or set data.attributes."
        )
