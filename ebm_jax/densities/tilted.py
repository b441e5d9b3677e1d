"""A hierarchical prior tilted by a function of the latents, in z-space and in u-space.

The tilt is F(z) for the EBM prior p(z) ∝ exp[F(z)] p_β(z), and F(z) + log p(x|z) for its
posterior, so these two functions give all four targets of the joint model.
"""

from collections.abc import Callable

import jax

from ebm_jax.densities.gaussian import standard_normal_log_prob
from ebm_jax.densities.hierarchical import HierarchicalPrior, Latents

LogProb = Callable[[Latents], jax.Array]


def tilted_in_z(prior: HierarchicalPrior, tilt: LogProb) -> LogProb:
    """log p(z) up to a constant: tilt(z) + log p_β(z), which includes −Σ log σ. [B]"""
    return lambda z: tilt(z) + prior.log_prob(z)


def tilted_in_u(
    prior: HierarchicalPrior, tilt: LogProb, *, legacy_log_sigma: bool = False
) -> LogProb:
    """The pull-back of `tilted_in_z` by T_β: tilt(T_β(u)) + log N(u; 0, I). [B]

    The −Σ log σ of log p_β cancels against the Jacobian of T_β, so no log σ appears here
    (ICML 2024, the re-parameterised prior).

    Args:
      prior: with its T_β.
      tilt: of z.
      legacy_log_sigma: adds −Σ log σ all the same, which is another density: what the released
        code of the two-stage model samples (CVPR 2023).
    """

    def log_prob(u: Latents) -> jax.Array:
        z, log_det = prior.to_z(u)
        value = tilt(z) + sum(standard_normal_log_prob(u_i) for u_i in u)
        return value - log_det if legacy_log_sigma else value

    return log_prob
