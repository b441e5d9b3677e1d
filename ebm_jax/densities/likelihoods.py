"""Image likelihoods p(x|z), given the generator's raw output; images x are in [-1, 1].

The output nonlinearity belongs to the likelihood, so a generator is only a map to raw parameters.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.densities.gaussian import normal_log_prob, sum_event
from ebm_jax.errors import ConfigError


class Likelihood(NamedTuple):
    """One observation model.

    Attributes:
      num_outputs: image channels C → raw output channels the generator must produce.
      log_prob: (raw [B, H, W, num_outputs(C)], x [B, H, W, C]) → [B].
      mean: raw → the mean of x, [B, H, W, C] in [-1, 1].
      sample: (keys [B], raw) → x [B, H, W, C], in [-1, 1].
    """

    num_outputs: Callable[[int], int]
    log_prob: Callable[[jax.Array, jax.Array], jax.Array]
    mean: Callable[[jax.Array], jax.Array]
    sample: Callable[[jax.Array, jax.Array], jax.Array]


def gaussian(sigma: float, squash: Callable[[jax.Array], jax.Array] = jnp.tanh) -> Likelihood:
    """N(squash(raw), σ²I), with one fixed σ (CVPR 2023: σ = 0.3, tanh)."""

    def sample(keys, raw):
        noise = jax.vmap(lambda key: jax.random.normal(key, raw.shape[1:], raw.dtype))(keys)
        return jnp.clip(squash(raw) + sigma * noise, -1.0, 1.0)

    return Likelihood(
        num_outputs=lambda channels: channels,
        log_prob=lambda raw, x: normal_log_prob(x, squash(raw), jnp.asarray(sigma, raw.dtype)),
        mean=squash,
        sample=sample,
    )


def bernoulli() -> Likelihood:
    """Bernoulli with logits `raw`; pixel −1 is "off" and 1 is "on".

    Grey values between them count as probabilities: the log density is then the cross-entropy.
    """

    def log_prob(raw, x):
        on = (x + 1) / 2
        return sum_event(on * jax.nn.log_sigmoid(raw) + (1 - on) * jax.nn.log_sigmoid(-raw))

    def sample(keys, raw):
        on = jax.vmap(jax.random.bernoulli)(keys, jax.nn.sigmoid(raw))
        return 2.0 * on.astype(raw.dtype) - 1.0

    return Likelihood(
        num_outputs=lambda channels: channels,
        log_prob=log_prob,
        mean=lambda raw: 2 * jax.nn.sigmoid(raw) - 1,
        sample=sample,
    )


def logistic_mixture(num_mixtures: int, channels: int, levels: int = 256) -> Likelihood:
    """Discretised mixture of logistics (PixelCNN++; the likelihood of NVAE's colour models).

    Channel c's means are shifted linearly by the channels before it, so that a pixel's channels are
    dependent. Raw channels per mixture: 1 logit, C means, C log scales, C(C−1)/2 coefficients.

    Args:
      num_mixtures: M.
      channels: C.
      levels: grey values per channel; x = −1 + 2·value/(levels − 1).
    """
    num_pairs = channels * (channels - 1) // 2
    half_bin = 1.0 / (levels - 1)

    def unpack(raw):
        raw = raw.reshape(*raw.shape[:-1], num_mixtures, 1 + 2 * channels + num_pairs)
        logits, means, log_scales, coefficients = jnp.split(
            raw, [1, 1 + channels, 1 + 2 * channels], axis=-1
        )
        log_scales = jnp.maximum(log_scales, -7.0)  # PixelCNN++'s floor: narrower than a bin
        return logits[..., 0], means, log_scales, jnp.tanh(coefficients)

    def shifted_means(means, coefficients, x):
        """Adds Σ_{d<c} coefficient_{c,d} x_d to channel c's mean; x [..., 1 or M, C]."""
        columns, pair = [], 0
        for c in range(channels):
            column = means[..., c]
            for d in range(c):
                column = column + coefficients[..., pair] * x[..., d]
                pair += 1
            columns.append(column)
        return jnp.stack(columns, axis=-1)

    def log_prob(raw, x):
        logits, means, log_scales, coefficients = unpack(raw)
        x = x[..., None, :]  # [B, H, W, 1, C]
        centred = x - shifted_means(means, coefficients, x)
        inverse_scale = jnp.exp(-log_scales)
        upper = inverse_scale * (centred + half_bin)
        lower = inverse_scale * (centred - half_bin)
        # σ(a) − σ(b) = σ(a) σ(−b) (1 − e^{b−a}) neither cancels nor underflows in the tails.
        width = jnp.maximum(2 * half_bin * inverse_scale, 1e-30)  # keeps log 0 out at huge scales
        log_width = jnp.log(-jnp.expm1(-width))
        inside = jax.nn.log_sigmoid(upper) + jax.nn.log_sigmoid(-lower) + log_width
        at_edge = jnp.where(
            x < -1 + half_bin,
            jax.nn.log_sigmoid(upper),  # everything below belongs to value 0
            jnp.where(x > 1 - half_bin, jax.nn.log_sigmoid(-lower), inside),
        )
        per_mixture = jnp.sum(at_edge, axis=-1) + jax.nn.log_softmax(logits)
        return sum_event(jax.nn.logsumexp(per_mixture, axis=-1))

    def mean(raw):
        logits, means, _, coefficients = unpack(raw)
        weights = jax.nn.softmax(logits)[..., None]
        # The means are linear in earlier channels, so expectations follow channel by channel.
        expected, pair = [], 0
        for c in range(channels):
            value = means[..., c]
            for d in range(c):
                value = value + coefficients[..., pair] * expected[d]
                pair += 1
            expected.append(value)
        return jnp.clip(jnp.sum(weights * jnp.stack(expected, axis=-1), axis=-2), -1.0, 1.0)

    def sample(keys, raw):
        def one(key, raw):
            pick_key, noise_key = jax.random.split(key)
            logits, means, log_scales, coefficients = unpack(raw)
            pick = jax.random.categorical(pick_key, logits)[..., None, None]
            means, log_scales, coefficients = (
                jnp.take_along_axis(a, pick, axis=-2)[..., 0, :]
                for a in (means, log_scales, coefficients)
            )
            noise = jax.random.logistic(noise_key, means.shape, means.dtype)
            drawn, pair = [], 0
            for c in range(channels):
                value = means[..., c]
                for d in range(c):
                    value = value + coefficients[..., pair] * drawn[d]
                    pair += 1
                value = value + jnp.exp(log_scales[..., c]) * noise[..., c]
                value = jnp.round((value + 1) / (2 * half_bin)) * 2 * half_bin - 1
                drawn.append(jnp.clip(value, -1.0, 1.0))  # the edge bins reach to infinity
            return jnp.stack(drawn, axis=-1)

        return jax.vmap(one)(keys, raw)

    return Likelihood(
        num_outputs=lambda _: num_mixtures * (1 + 2 * channels + num_pairs),
        log_prob=log_prob,
        mean=mean,
        sample=sample,
    )


def build(config, channels: int) -> Likelihood:
    """The likelihood of `config.model.likelihood` for images of `channels` channels.

    Raises:
      ConfigError: unknown `kind`.
    """
    if config.kind == "gaussian":
        return gaussian(config.sigma)
    if config.kind == "bernoulli":
        return bernoulli()
    if config.kind == "logistic_mixture":
        return logistic_mixture(config.mixtures, channels)
    raise ConfigError(
        f"model.likelihood.kind is '{config.kind}'; use gaussian, bernoulli or logistic_mixture."
    )
