"""The joint density of images and latents, p(x, z) = p(x|z) · exp[F(z)] p_β(z) / Z (CVPR 2023).

Everything here is a pure function of three callables, so that a test can put a linear-Gaussian
model with quadratic energies in their place, whose expectations are known in closed form.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.densities.hierarchical import HierarchicalPrior, Latents

Params = Any  # {group: parameter tree}


class JointDensity(NamedTuple):
    """p(x, z) up to its constant.

    Attributes:
      log_likelihood: (params, x, z) → log p(x|z) [B].
      prior: params → HierarchicalPrior p_β.
      neg_energy: (params, z) → F(z) = Σ_i f_i(z_i) [B].
    """

    log_likelihood: Callable[[Params, jax.Array, Latents], jax.Array]
    prior: Callable[[Params], HierarchicalPrior]
    neg_energy: Callable[[Params, Latents], jax.Array]


def learning_loss(
    density: JointDensity,
    params: Params,
    x: jax.Array,
    z_positive: Latents,
    z_negative: Latents | None,
    negative_weight: float | jax.Array = 1.0,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """A scalar whose gradient is the estimator of −∇ log p(x) for every group (CVPR 2023, §3).

        generator  β_0:    −E⁺[∇ log p(x|z)]
        prior      β_{>0}: −(E⁺[∇ log p_β(z)] − E⁻[∇ log p_β(z)])
        energy     α:      −(E⁺[∇ F(z)] − E⁻[∇ F(z)])

    E⁺ is over the posterior of z, E⁻ over the EBM prior. The second term of β_{>0} is there because
    Z depends on β_{>0} too; it is easily forgotten.

    With re-parameterised z⁺ ~ q(z|x) the same scalar minus −log q is the negative ELBO, and its
    gradient through z⁺ is that of the inference net (log Z does not depend on it).

    Args:
      density: the model.
      params: its parameters by group.
      x: [B, H, W, C], range as the likelihood's.
      z_positive: posterior latents; pass them stop-gradiented unless an inference net learns
        through them.
      z_negative: samples of the EBM prior, or None when there is no energy (then E⁻[∇ log p_β] is
        exactly zero).
      negative_weight: 0 while the energies are off and `z_negative` holds no samples, else 1.

    Returns:
      (scalar, metrics): metrics hold the positive and negative −F and the parts of log p(x, z).
    """
    log_likelihood = density.log_likelihood(params, x, z_positive)
    prior = density.prior(params)
    log_prior = prior.log_prob(z_positive)
    positive = density.neg_energy(params, z_positive)
    loss = -jnp.mean(log_likelihood + log_prior + positive)
    metrics = {
        "loss/log_likelihood": jnp.mean(log_likelihood),
        "loss/log_prior": jnp.mean(log_prior),
        "energy/positive": -jnp.mean(positive),
    }
    if z_negative is not None:
        z_negative = jax.lax.stop_gradient(z_negative)
        negative = density.neg_energy(params, z_negative)
        log_prior_negative = prior.log_prob(z_negative)
        loss = loss + negative_weight * jnp.mean(log_prior_negative + negative)
        metrics["energy/negative"] = -jnp.mean(negative)
    return loss, metrics
