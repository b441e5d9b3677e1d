"""What log Z and log p(x) are estimated with: annealed chains in u-space, and weights of q.

In u-space (z = T_β(u), u ~ N(0, I)) both integrals have the same form,

    Z = E_u exp[F(T_β(u))],   Z · p(x) = E_u exp[log p(x|T_β(u)) + F(T_β(u))],

so the annealed densities are log N(u; 0, I) + t · tilt(u) and no log σ appears.
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from ebm_jax import randomness
from ebm_jax.densities.gaussian import standard_normal_log_prob
from ebm_jax.densities.joint import JointDensity
from ebm_jax.densities.likelihoods import Likelihood
from ebm_jax.methods.base import Evidence
from ebm_jax.methods.latent_chains import LatentChains
from ebm_jax.models.latent_variable import LatentVariableModel
from ebm_jax.samplers import ais, hmc, normal_like
from ebm_jax.samplers.noise import fold_in

temperatures = ais.temperatures  # the schedules of `betas`
_JITTER = 0.2  # of HMC's step: at β = 0 the density is a Gaussian, where trajectories come round


def annealed(tilt: Callable, base: Callable, num_leapfrog: int) -> dict[str, Callable]:
    """The fields `tune`, `forward` and `reverse` of an Evidence, by HMC.

    Args:
      tilt: (state, images or None, u) → [B], see Evidence.
      base: (keys [B]) → u, standard normal.
      num_leapfrog: leapfrog steps of every trajectory.
    """

    def path(state, images):
        def normal(u):
            return sum(standard_normal_log_prob(leaf) for leaf in jax.tree.leaves(u))

        return ais.geometric_path(normal, lambda u: tilt(state, images, u))

    def kernel(log_prob, step_size):
        return hmc(log_prob, step_size, num_leapfrog=num_leapfrog, jitter=_JITTER)

    def streams(key, index, name):
        return randomness.streams(randomness.per_example(key, index), name)

    def tune(state, images, key, index, betas):
        start = base(streams(key, index, "tune_start"))
        drawn = streams(key, index, "tune")
        return ais.tune(path(state, images), kernel, betas, drawn, start)

    def forward(state, images, key, index, betas, step_sizes):
        start = base(streams(key, index, "forward_start"))
        drawn = streams(key, index, "forward")
        return ais.forward(path(state, images), kernel, betas, step_sizes, drawn, start)

    def reverse(state, images, u, key, index, betas, step_sizes):
        drawn = streams(key, index, "reverse")
        return ais.reverse(path(state, images), kernel, betas, step_sizes, drawn, u)

    return {"tune": tune, "forward": forward, "reverse": reverse}


def build(
    config,
    density: JointDensity,
    model: LatentVariableModel,
    likelihood: Likelihood,
    chains: LatentChains,
    params_of: Callable,
) -> Evidence:
    """The Evidence of a latent variable model with a tilted hierarchical prior.

    Args:
      config: the experiment's; `eval.likelihood_leapfrog` and `model.likelihood` are used.
      density, model, likelihood, chains: the method's parts.
      params_of: state → parameters, normalised where the model needs it.
    """
    cfg = config.model.likelihood

    def tilt(state, images, u):
        params = params_of(state)
        z, _ = density.prior(params).to_z(u)
        value = density.neg_energy(params, z)
        return value if images is None else value + density.log_likelihood(params, images, z)

    def base(keys):
        return chains.noise(keys, "u")

    def simulate(state, u, key, index):
        params = params_of(state)
        raw = model.decode(params, density.prior(params).to_z(u)[0])
        keys = randomness.streams(randomness.per_example(key, index), "simulate")
        if cfg.kind != "gaussian":
            return likelihood.sample(keys, raw)
        # `likelihood.sample` clips to the range of images: no draw of the density any more.
        mean = likelihood.mean(raw)
        return mean + cfg.sigma * normal_like(keys, mean)

    def log_weights(state, images, key, index, num, start=0):
        params = params_of(state)
        prior = density.prior(params)
        keys = randomness.streams(randomness.per_example(key, index), "iwae")

        def one(number):
            noise = chains.noise(fold_in(keys, number), "inference")
            z, log_q = model.infer(params, images, noise)
            joint = density.log_likelihood(params, images, z) + prior.log_prob(z)
            return joint + density.neg_energy(params, z) - log_q

        return jax.lax.map(one, start + jnp.arange(num))  # one sample in memory at a time

    log_bin, scale = {
        "gaussian": (
            math.log(2 / 255),
            f"log density of N(x; mean, {cfg.sigma}² I) over x in [-1, 1] (nats); bits of the "
            "density per 8-bit grey value v at its centre, x = 2v/255 - 1, without dequantisation",
        ),
        "bernoulli": (
            0.0,
            "cross-entropy of grey values as probabilities of binary pixels: the log probability "
            "of an image only where its pixels are binary",
        ),
        "logistic_mixture": (0.0, "log probability of 8-bit pixels"),
    }[cfg.kind]
    return Evidence(
        tilt=tilt,
        simulate=simulate,
        log_weights=log_weights if model.has_inference else None,
        log_bin=log_bin,
        scale=scale,
        **annealed(tilt, base, config.eval.likelihood_leapfrog),
    )
