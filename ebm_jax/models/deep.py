"""The deep hierarchical VAE as a LatentVariableModel.

Parameter groups: `generator` (the tower, which is the prior too) and `inference`; `statistics` are
those of batch normalisation, which no optimiser moves. Latents are maps [B, h, w, c], bottom first.
"""

import jax.numpy as jnp

from ebm_jax.densities.gaussian import normal_kl, normal_log_prob
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.errors import ConfigError
from ebm_jax.models.deep_nets import DeepVAE, Encoder, Tower
from ebm_jax.models.latent_variable import LatentVariableModel
from ebm_jax.models.padding import to_power_of_two
from ebm_jax.models.patches import from_patches, to_patches


def build(
    config, num_outputs: int, *, with_inference: bool, axis_name: str | None = None
) -> LatentVariableModel:
    """The model of `config.model` for the images of `config.data`.

    Args:
      config: the whole experiment's config.
      num_outputs: raw channels the likelihood needs.
      with_inference: must be True, posterior and prior are of one tower.
      axis_name: mapped axis over which `learn` takes a batch's statistics, or None.

    Raises:
      ConfigError: sizes that do not fit together.
    """
    if not with_inference:
        raise ConfigError(
            "model.generator.kind is 'nvae', which learns with its inference net; set "
            "method.learning to 'variational'."
        )
    padding = to_power_of_two(config.data.image_size)
    patch = _patch(config, padding.padded)
    net = _net(config, padding.padded // patch, num_outputs * patch**2)
    settings = dict(train=True, axis_name=axis_name, remat=config.train.remat)
    learning = net.clone(tower=net.tower.clone(**settings), encoder=net.encoder.clone(**settings))
    tower = net.tower
    num_layers = len(tower.latent_channels)
    sides = [tower.side >> tower.scale_of(i) for i in range(num_layers)]
    shapes = tuple((s, s, c) for s, c in zip(sides, tower.latent_channels, strict=True))

    def variables(params):
        nets = {"tower": params["generator"], "encoder": params["inference"]}
        return {"params": nets, "batch_stats": params["statistics"]}

    def read(x):
        return to_patches(padding.pad(x), patch)

    def written(raw):
        return padding.cut(from_patches(raw, patch))

    def init(key):
        size = config.data.image_size
        x = read(jnp.zeros((1, size, size, config.data.channels)))
        found = net.init(key, x, tuple(jnp.zeros((1, *shape)) for shape in shapes))
        nets = found["params"]
        statistics = found["batch_stats"]
        return {
            "generator": nets["tower"],
            "inference": nets["encoder"],
            "statistics": statistics,
        }

    def decode(params, z):
        return written(net.apply(variables(params), z, method="decode"))

    def prior(params):
        def of(method):
            return lambda *arguments: net.apply(variables(params), *arguments, method=method)

        return hierarchical_prior(
            of("conditional"), num_layers, start=of("start"), absorb=of("absorb")
        )

    def infer(params, x, noise):
        groups = net.apply(variables(params), read(x), noise, method="infer")
        log_q = sum(normal_log_prob(g.z, g.mean, g.std) for g in groups)
        return tuple(g.z for g in groups), log_q

    def learn(params, x, noise):
        found, moved = learning.apply(variables(params), read(x), noise, mutable="batch_stats")
        raw, groups = found
        kl = jnp.stack([normal_kl(g.mean, g.std, g.mean_p, g.std_p) for g in groups])
        return written(raw), kl, moved["batch_stats"]

    def recalibrate(params, noise):
        _, moved = learning.apply(variables(params), noise, method="draw", mutable="batch_stats")
        return moved["batch_stats"]

    return LatentVariableModel(init, shapes, decode, prior, infer, True, learn, recalibrate)


def _patch(config, padded: int) -> int:
    """`model.generator.patch` for padded images of this side."""
    patch = config.model.generator.patch
    if type(patch) is not int or patch not in [1 << k for k in range(padded.bit_length())]:
        raise ConfigError(
            f"model.generator.patch is {patch}; use a power of two of at most {padded} pixels, "
            "the side of the padded images."
        )
    return patch


def _net(config, side: int, num_outputs: int) -> DeepVAE:
    """The nets for images of this side, in patches."""
    m = config.model
    sizes, scales = tuple(m.latent_sizes), tuple(m.generator.scales)
    if sum(scales) != len(sizes) or not all(groups > 0 for groups in scales):
        raise ConfigError(
            f"model.generator.scales is {scales}, groups of each scale, finest first, but "
            f"model.latent_sizes has {len(sizes)} groups; make them add up."
        )
    latent_side = m.generator.latent_side
    coarsest = latent_side >> (len(scales) - 1)
    if latent_side not in [side >> k for k in range(side.bit_length())] or coarsest < 2:
        raise ConfigError(
            f"model.generator.latent_side is {latent_side}; use {side} divided by a power of two, "
            f"and at least {2 ** len(scales)} for {len(scales)} scales."
        )
    for part in ("generator", "inference"):
        if m[part].kind != "nvae" or len(m[part].hidden) != 1:
            raise ConfigError(
                f"model.{part} has kind '{m[part].kind}' and hidden {tuple(m[part].hidden)}; the "
                "deep model has kind 'nvae' and one width for both, generator and inference."
            )
    halvings = (side // latent_side).bit_length() - 1

    def shape(part):
        dtype = jnp.dtype(m[part].compute_dtype or config.compute_dtype)
        settings = dict(width=m[part].hidden[0], side=latent_side, halvings=halvings)
        return settings | dict(
            latent_channels=sizes,
            scales=scales,
            cells=m[part].cells,
            floor=m.prior.sigma_floor,
            dtype=dtype,
        )

    return DeepVAE(
        Tower(**shape("generator"), out_channels=num_outputs), Encoder(**shape("inference"))
    )
