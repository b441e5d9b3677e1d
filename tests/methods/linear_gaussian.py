"""A joint model in which everything is known: linear-Gaussian layers, quadratic energies.

    z_2 ~ N(0, I),  z_1 | z_2 ~ N(A z_2 + a, diag(s²)),  x | z_1 ~ N(W z_1 + w, σ² I),
    f_i(z_i) = −½ z_iᵀ P_i z_i + b_iᵀ z_i  with P_i positive semi-definite.

Every log density is a quadratic in (z_1, z_2), so integrals, expectations and samples follow from
its value, gradient and Hessian at zero.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ebm_jax.densities.gaussian import normal_log_prob
from ebm_jax.densities.hierarchical import hierarchical_prior
from ebm_jax.densities.joint import JointDensity

D1, D2, DX, SIGMA = 3, 2, 4, 0.9


def parameters(dtype=np.float32):
    draw = np.random.RandomState(0).standard_normal
    return jax.tree.map(
        lambda x: jnp.asarray(x, dtype),
        {
            "generator": {"W": 0.6 * draw((D1, DX)), "w": draw(DX)},
            "prior": {"A": 0.7 * draw((D2, D1)), "a": 0.5 * draw(D1), "log_s": 0.3 * draw(D1)},
            "energy": {
                "R1": 0.4 * draw((D1, D1)),
                "b1": draw(D1),
                "R2": 0.4 * draw((D2, D2)),
                "b2": draw(D2),
            },
        },
    )


def log_likelihood(params, x, z):
    mean = z[0] @ params["generator"]["W"] + params["generator"]["w"][None]
    return normal_log_prob(x, mean, jnp.full((), SIGMA, mean.dtype))


def prior(params):
    p = params["prior"]

    def conditional(_, above):
        mean = above[0] @ p["A"] + p["a"][None]
        return mean, jnp.broadcast_to(jnp.exp(p["log_s"])[None], mean.shape)

    return hierarchical_prior(conditional, 2)


def neg_energy(params, z):
    e = params["energy"]

    def head(z, root, slope):
        return -0.5 * jnp.sum((z @ root) ** 2, -1) + z @ slope

    return head(z[0], e["R1"], e["b1"]) + head(z[1], e["R2"], e["b2"])


DENSITY = JointDensity(log_likelihood, prior, neg_energy)


def log_tilted_prior(params, flat):
    """Un-normalised log p(z) of one z = concat(z_1, z_2)."""
    z = (flat[None, :D1], flat[None, D1:])
    return (prior(params).log_prob(z) + neg_energy(params, z))[0]


def log_joint(params, x, flat):
    """log p(x|z) plus the above; x [DX]."""
    z = (flat[None, :D1], flat[None, D1:])
    return log_likelihood(params, x[None], z)[0] + log_tilted_prior(params, flat)


def natural(log_density, dtype):
    """(c, h, Λ) of the quadratic log density c + hᵀz − ½ zᵀΛz."""
    zero = jnp.zeros(D1 + D2, dtype)
    return log_density(zero), jax.grad(log_density)(zero), -jax.hessian(log_density)(zero)


def log_integral(log_density, dtype):
    """log ∫ exp of a quadratic log density."""
    c, h, precision = natural(log_density, dtype)
    _, log_det = jnp.linalg.slogdet(precision / (2 * jnp.pi))
    return c + 0.5 * h @ jnp.linalg.solve(precision, h) - 0.5 * log_det


def log_evidence(params, x):
    """Exact log p(x), normalised: log ∫ p(x|z) exp[F] p_β dz − log Z."""
    joint = log_integral(lambda z: log_joint(params, x, z), x.dtype)
    return joint - log_integral(lambda z: log_tilted_prior(params, z), x.dtype)


def exact_samples(log_density, count, seed):
    """[count, D] draws of the Gaussian with that quadratic log density."""
    _, h, precision = natural(log_density, jnp.float32)
    covariance = np.linalg.inv(np.asarray(precision, np.float64))
    covariance = (covariance + covariance.T) / 2
    mean = covariance @ np.asarray(h, np.float64)
    draws = np.random.RandomState(seed).multivariate_normal(mean, covariance, size=count)
    return jnp.asarray(draws, jnp.float32)


def split(flat):
    """[..., D1 + D2] → (z_1, z_2)."""
    return flat[..., :D1], flat[..., D1:]
