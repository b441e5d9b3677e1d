"""The multi-layer latent variable model as pure functions of grouped parameters.

Parameter groups: `generator` p(x|z), `prior` p_β(z_i|z_{i+1}), `inference` q(z_1|x)
Π q(z_{i+1}|z_i). Latents are tuples, bottom layer z_1 first. Energies are in `energies`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.densities.gaussian import normal_log_prob
from ebm_jax.densities.hierarchical import HierarchicalPrior, Latents, hierarchical_prior
from ebm_jax.errors import ConfigError
from ebm_jax.models.generators import ConvGenerator, MLPGenerator
from ebm_jax.models.inference import ConvInference
from ebm_jax.nn.mlp import MLP

Params = Any  # {group: parameter tree}


class LatentVariableModel(NamedTuple):
    """Pure functions of one model; x are images [B, H, W, C], z latents, u and noise like z.

    Attributes:
      init: key → {group: parameters}, and their `statistics`, which no optimiser moves, if any.
      latent_shapes: of one example's latents.
      decode: (params, z) → the likelihood's raw parameters [B, H, W, outputs].
      prior: params → HierarchicalPrior p_β.
      infer: (params, x, noise) → (z, log q(z|x) [B]), re-parameterised.
      has_inference: whether `infer` can be called.
      learn: (params, x, noise) → (raw parameters of x̂, KL(q ‖ p_β) of each layer [L, B], the
        statistics moved by the batch's), by the batch's own statistics; None for nets without.
      recalibrate: (params, noise) → the statistics moved by those of samples of p_β; None likewise.
    """

    init: Callable[[jax.Array], Params]
    latent_shapes: tuple[tuple[int, ...], ...]
    decode: Callable[[Params, Latents], jax.Array]
    prior: Callable[[Params], HierarchicalPrior]
    infer: Callable[[Params, jax.Array, Latents], tuple[Latents, jax.Array]]
    has_inference: bool
    learn: Callable[..., tuple[jax.Array, jax.Array, Any]] | None = None
    recalibrate: Callable[[Params, Latents], Any] | None = None


def build(config, num_outputs: int, *, with_inference: bool) -> LatentVariableModel:
    """The model of `config.model` for the images of `config.data`.

    Args:
      config: the whole experiment's config.
      num_outputs: raw channels the likelihood needs.
      with_inference: whether to build the inference net.

    Raises:
      ConfigError: an unknown kind, or sizes that do not fit together.
    """
    m, side = config.model, config.data.image_size

    def dtype_of(part):
        return jnp.dtype(part.compute_dtype or config.compute_dtype)

    sizes = tuple(m.latent_sizes)
    layers = range(len(sizes))
    generator = _generator(m.generator, side, num_outputs, dtype_of(m.generator))
    generator_inputs = sum(sizes) if m.generator.inputs == "all" else sizes[0]
    priors = [MLP(tuple(m.prior.hidden), 2 * size, dtype=dtype_of(m.prior)) for size in sizes[:-1]]
    encoder_dtype = dtype_of(m.inference)
    encoders = [_encoder(m.inference, side, 2 * sizes[0], encoder_dtype)]
    encoders += [
        MLP(tuple(m.inference.latent_hidden), 2 * size, dtype=encoder_dtype) for size in sizes[1:]
    ]
    image = jnp.zeros((1, side, side, config.data.channels))
    latents = [jnp.zeros((1, size)) for size in sizes]

    def init(key):
        def net(number, module, inputs):
            return module.init(jax.random.fold_in(key, number), inputs)["params"]

        params = {"generator": net(0, generator, jnp.zeros((1, generator_inputs)))}
        if len(sizes) > 1:
            params["prior"] = {
                f"layer_{i + 1}": net(100 + i, priors[i], latents[i + 1]) for i in layers[:-1]
            }
        if with_inference:
            inputs = [image, *latents[:-1]]
            params["inference"] = {
                f"layer_{i + 1}": net(300 + i, encoders[i], inputs[i]) for i in layers
            }
        return params

    def decode(params, z):
        inputs = jnp.concatenate(z, axis=-1) if m.generator.inputs == "all" else z[0]
        return generator.apply({"params": params["generator"]}, inputs)

    def prior(params):
        def conditional(i, above):
            variables = {"params": params["prior"][f"layer_{i + 1}"]}
            mean, log_std = jnp.split(priors[i].apply(variables, above[0]), 2, axis=-1)
            return mean, jnp.exp(log_std) + m.prior.sigma_floor

        return hierarchical_prior(conditional, len(sizes))

    def infer(params, x, noise):
        z, log_q, below = [], 0.0, x
        for i in layers:
            variables = {"params": params["inference"][f"layer_{i + 1}"]}
            mean, log_std = jnp.split(encoders[i].apply(variables, below), 2, axis=-1)
            below = mean + jnp.exp(log_std) * noise[i]
            log_q += normal_log_prob(below, mean, jnp.exp(log_std))
            z.append(below)
        return tuple(z), log_q

    shapes = tuple((size,) for size in sizes)
    return LatentVariableModel(init, shapes, decode, prior, infer, with_inference)


def _generator(config, side, num_outputs, dtype):
    if config.inputs not in ("bottom", "all"):
        raise ConfigError(f"model.generator.inputs is '{config.inputs}'; use 'bottom' or 'all'.")
    if config.kind == "mlp":
        return MLPGenerator(side, num_outputs, tuple(config.hidden), dtype)
    if config.kind == "conv":
        _check_halvings("model.generator.hidden", config.hidden, side)
        return ConvGenerator(side, num_outputs, tuple(config.hidden), dtype)
    raise ConfigError(f"model.generator.kind is '{config.kind}'; use 'mlp' or 'conv'.")


def _encoder(config, side, out, dtype):
    if config.kind == "mlp":
        return MLP(tuple(config.hidden), out, dtype=dtype)
    if config.kind == "conv":
        _check_halvings("model.inference.hidden", config.hidden, side)
        return ConvInference(out, tuple(config.hidden), dtype)
    raise ConfigError(f"model.inference.kind is '{config.kind}'; use 'mlp' or 'conv'.")


def _check_halvings(name, hidden, side):
    if not hidden or side % 2 ** (len(hidden) - 1):
        raise ConfigError(
            f"{name} has {len(hidden)} widths, which needs data.image_size to be a multiple of "
            f"{2 ** max(len(hidden) - 1, 0)}, but it is {side}; change one of the two."
        )
