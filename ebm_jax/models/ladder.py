"""The ladder model (ICCV 2023) as a LatentVariableModel with isotropic layers.

    p(x, z) = p(x | z) (1/Z) exp f([z_1 … z_L]) N(z; 0, I),   q(z|x) = Π_i q(z_i | x)

Parameter groups: `generator`, `inference`; the prior has no parameters.
"""

import jax
import jax.numpy as jnp

from ebm_jax.densities.gaussian import normal_log_prob
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.errors import ConfigError
from ebm_jax.models.ladder_nets import (
    ConvLadderGenerator,
    ConvLadderInference,
    MLPLadderGenerator,
    MLPLadderInference,
)
from ebm_jax.models.latent_variable import LatentVariableModel


def build(config, num_outputs: int, *, with_inference: bool) -> LatentVariableModel:
    """The ladder of `config.model` for the images of `config.data`.

    Args:
      config: the whole experiment's config.
      num_outputs: raw channels the likelihood needs.
      with_inference: whether to build the inference net.

    Raises:
      ConfigError: an unknown kind, or sizes that do not fit together.
    """
    m, side = config.model, config.data.image_size
    sizes = tuple(m.latent_sizes)

    def dtype_of(part):
        return jnp.dtype(part.compute_dtype or config.compute_dtype)

    generator = _generator(m.generator, side, num_outputs, len(sizes), dtype_of(m.generator))
    encoder = _encoder(m.inference, side, sizes, dtype_of(m.inference))

    def init(key):
        def net(number, module, inputs):
            return module.init(jax.random.fold_in(key, number), inputs)["params"]

        latents = tuple(jnp.zeros((1, size)) for size in sizes)
        params = {"generator": net(0, generator, latents)}
        if with_inference:
            image = jnp.zeros((1, side, side, config.data.channels))
            params["inference"] = net(300, encoder, image)
        return params

    def decode(params, z):
        return generator.apply({"params": params["generator"]}, z)

    def prior(params):
        def conditional(i, above):
            zeros = jnp.zeros((above[0].shape[0], sizes[i]))
            return zeros, jnp.ones_like(zeros)

        return hierarchical_prior(conditional, len(sizes))

    def infer(params, x, noise):
        z, log_q = [], 0.0
        heads = encoder.apply({"params": params["inference"]}, x)
        for (mean, log_variance), drawn in zip(heads, noise, strict=True):
            std = jnp.exp(0.5 * log_variance)
            z.append(mean + std * drawn)
            log_q += normal_log_prob(z[-1], mean, std)
        return tuple(z), log_q

    shapes = tuple((size,) for size in sizes)
    return LatentVariableModel(init, shapes, decode, prior, infer, with_inference)


def _generator(config, side, num_outputs, num_layers, dtype):
    _check_kind("model.generator", config.kind)
    hidden = tuple(config.hidden)
    if config.kind == "mlp":
        _check_widths("model.generator.hidden", hidden, num_layers, "latent layer")
        return MLPLadderGenerator(side, num_outputs, hidden, dtype)
    if config.combine not in ("concat", "add"):
        raise ConfigError(f"model.generator.combine is '{config.combine}'; use 'concat' or 'add'.")
    _check_widths("model.generator.hidden", hidden, num_layers - 1, "layer but the top one")
    if not hidden or side % 2 ** len(hidden):
        raise ConfigError(
            f"data.image_size is {side}, which {num_layers} ladder layers cannot halve "
            f"{num_layers - 1} times; use 2 layers or more and a multiple of {2 ** len(hidden)}."
        )
    return ConvLadderGenerator(
        side, num_outputs, hidden, config.width, config.combine, config.last, dtype
    )


def _encoder(config, side, sizes, dtype):
    _check_kind("model.inference", config.kind)
    hidden = tuple(config.hidden)
    _check_widths("model.inference.hidden", hidden, len(sizes), "latent layer")
    if config.kind == "mlp":
        return MLPLadderInference(sizes, hidden, dtype)
    return ConvLadderInference(sizes, hidden, config.width, dtype)


def _check_kind(name, kind):
    if kind not in ("mlp", "conv"):
        raise ConfigError(f"{name}.kind is '{kind}'; use 'mlp' or 'conv'.")


def _check_widths(name, widths, expected, what):
    if len(widths) != expected:
        raise ConfigError(
            f"{name} has {len(widths)} widths, but a ladder needs one per {what}, {expected}."
        )
