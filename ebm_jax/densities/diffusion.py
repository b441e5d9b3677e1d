"""The diffusion of a latent prior's u-space and its conditional densities (ICML 2024).

With ũ = T_β⁻¹(z) for z of the posterior, and levels t = 0 … T of more and more noise,

    ũ_0 = α_0 ũ + σ_0 ε,   ũ_{t+1} = α_{t+1} ũ_t + σ_{t+1} ε,   ũ_t = ᾱ_t ũ + σ̄_t ε

(level 0 has a tiny noise already, level T is N(0, I) but for ᾱ_T = 0.006). One EBM per level,

    p(ũ_t)         ∝ exp[F(T_β(ũ_t), t)] N(ũ_t; 0, I)
    p(ũ_t|ũ_{t+1}) ∝ p(ũ_t) N(ũ_{t+1}; α_{t+1} ũ_t, σ²_{t+1} I),

gives the steps back from N(0, I); the first of them, from level T, is of the marginal p(ũ_{T−1}).
As α² + σ² = 1, p(ũ_t|ũ_{t+1}) is N(α_{t+1} ũ_{t+1}, σ²_{t+1} I) where F = 0.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax.densities.gaussian import standard_normal_log_prob, sum_event
from ebm_jax.densities.hierarchical import Latents
from ebm_jax.densities.tilted import LogProb

MOST_STEPS = 501  # the levels below T are spread over half of the 1000 steps of the process


STEP_RULES = {"annealed": "η_t = b² σ̄_t σ²_{t+1} / σ̄_0", "conditional": "η_t = b² σ²_{t+1}"}


class Schedule(NamedTuple):
    """Factors of the diffusion, each [T + 1] in float32; index j is the step into level j.

    Attributes:
      alpha, sigma: of one step, α² + σ² = 1.
      alpha_bar, sigma_bar: of all steps from ũ to level j.
    """

    alpha: jax.Array
    sigma: jax.Array
    alpha_bar: jax.Array
    sigma_bar: jax.Array

    @property
    def num_steps(self) -> int:
        """T."""
        return len(self.alpha) - 1


def schedule(num_steps: int) -> Schedule:
    """The paper's schedule: levels 0 … T − 1 in the first half of a process of 1000 steps.

    β = linspace(1e-4, 0.02, 1000); the levels are its steps 0, q, …, (T − 1) q with
    q = ⌊1000 / 2(T − 1)⌋, and the last; with T = 1 the first and the last.

    Args:
      num_steps: T, 1 to 501.

    Raises:
      ValueError: T is out of this range.
    """
    if not 1 <= num_steps <= MOST_STEPS:
        raise ValueError(f"num_steps is {num_steps}; use 1 to {MOST_STEPS}.")
    kept = np.cumprod(np.sqrt(1 - np.linspace(1e-4, 0.02, 1000)))  # ᾱ of the process
    every = 1000 // (2 * (num_steps - 1)) if num_steps > 1 else 0
    alpha_bar = kept[[*(every * np.arange(num_steps)), 999]]
    alpha = alpha_bar / np.concatenate([[1.0], alpha_bar[:-1]])

    def sigma(a):
        return np.sqrt(1 - a**2)

    columns = alpha, sigma(alpha), alpha_bar, sigma(alpha_bar)
    return Schedule(*(jnp.asarray(column, jnp.float32) for column in columns))


def step_sizes(levels: Schedule, scale: float, rule: str = "annealed") -> jax.Array:
    """η_t, [T]: variances of the Langevin steps at levels 0 … T − 1.

    With 'annealed', the paper's rule, η_t = b² (σ̄_t / σ̄_0) σ²_{t+1}: small steps for a density as
    narrow as the noise of level 0. With 'conditional' η_t = b² σ²_{t+1}, equal at all levels in
    units of the variance that p(ũ_t|ũ_{t+1}) has where F = 0: for latents that fill u-space at
    level 0 too, as those of a posterior with noise of its own do.

    Args:
      levels: the schedule.
      scale: b².
      rule: one of `STEP_RULES`.
    """
    sizes = scale * levels.sigma[1:] ** 2
    return sizes if rule == "conditional" else sizes * levels.sigma_bar[:-1] / levels.sigma_bar[0]


def noised(levels: Schedule, u: Latents, t: jax.Array, noise: Latents) -> Latents:
    """ũ_t = ᾱ_t u + σ̄_t ε.

    Args:
      levels: the schedule.
      u: without noise, leaves [B, ...].
      t: level of each example, [B].
      noise: ε, like u.
    """
    return _mixed(levels.alpha_bar[t], u, levels.sigma_bar[t], noise)


def one_step_noisier(levels: Schedule, u: Latents, t: jax.Array, noise: Latents) -> Latents:
    """ũ_{t+1} = α_{t+1} ũ_t + σ_{t+1} ε; arguments as in `noised`, u is ũ_t."""
    return _mixed(levels.alpha[t + 1], u, levels.sigma[t + 1], noise)


def recovery_log_prob(
    tilt: Callable[[Latents], jax.Array], levels: Schedule, t: jax.Array, noisier: Latents
) -> LogProb:
    """ũ_t → log p(ũ_t|ũ_{t+1}) up to a constant, [B]; at t = T − 1 log p(ũ_t).

    Args:
      tilt: ũ_t → F(T_β(ũ_t), t) [B].
      levels: the schedule.
      t: level of each example, [B].
      noisier: ũ_{t+1}, leaves [B, ...].
    """
    alpha, sigma = levels.alpha[t + 1], levels.sigma[t + 1]
    weight = jnp.where(t < levels.num_steps - 1, 0.5 / sigma**2, 0.0)

    def log_prob(u: Latents) -> jax.Array:
        pairs = zip(u, noisier, strict=True)
        distance = sum(sum_event((_times(alpha, a) - b) ** 2) for a, b in pairs)
        return tilt(u) + sum(standard_normal_log_prob(u_i) for u_i in u) - weight * distance

    return log_prob


def _mixed(a, u, b, noise):
    pairs = zip(u, noise, strict=True)
    return tuple(_times(a, u_i) + _times(b, e_i) for u_i, e_i in pairs)


def _times(factor, leaf):
    """factor [B] × leaf [B, ...]."""
    return factor.reshape(-1, *[1] * (leaf.ndim - 1)) * leaf
