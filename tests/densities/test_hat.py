"""Hat EBM's densities, where G is linear and H quadratic, so that every moment is known."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.densities.gaussian import standard_normal_log_prob
from ebm_jax.densities.hat import hat_log_prob
from ebm_jax.samplers import Move, alternating, run_chain

DZ, DX, T = 2, 3, 0.5
A = jnp.array([[1.0, 0.5, -0.3], [-0.4, 0.8, 0.6]])  # z [B, 2] → [B, 3]
MEAN = jnp.array([1.0, -0.5, 0.3])
PRECISION = jnp.array([[2.0, 0.5, 0.0], [0.5, 1.5, -0.3], [0.0, -0.3, 1.0]])


def energy(x):
    d = x - MEAN[None]
    return 0.5 * jnp.einsum("bi,ij,bj->b", d, PRECISION, d)


def generate(z):
    return z @ A + 0.2


def run(log_prob, moves, chains=8_000, steps=1_500):
    z = jax.random.normal(jax.random.key(1), (chains, DZ))
    start = {"z": z, "y": jnp.zeros((chains, DX))}
    keys = jax.random.split(jax.random.key(0), chains)
    end = jax.jit(lambda: run_chain(alternating(log_prob, moves), keys, start, steps))().position
    z, y = (np.asarray(end[part], np.float64) for part in ("z", "y"))
    return z, y, np.asarray(generate(z), np.float64) + y


def precision_of(tau, prior):
    """Of (z, y) jointly, from −log p = ½(x − m)ᵀP(x − m)/T + τ‖y‖² + ½‖z‖² with x = Aᵀz + b + y."""
    a, p = np.asarray(A, np.float64), np.asarray(PRECISION, np.float64) / T
    both = np.block([[a @ p @ a.T, a @ p], [p @ a.T, p]])
    both[:DZ, :DZ] += prior * np.eye(DZ)
    both[DZ:, DZ:] += 2 * tau * np.eye(DX)
    pull = np.concatenate([a, np.eye(DX)]) @ p @ (np.asarray(MEAN, np.float64) - 0.2)
    return both, pull


def test_conditional_density_keeps_the_prior_and_gives_x_the_energys_moments():
    """x ~ N(m, T P⁻¹), z ~ N(0, I), independent (in the limit of small steps)."""
    log_prob = hat_log_prob(energy, generate, temperature=T, log_prior=standard_normal_log_prob)
    z, _, x = run(log_prob, [Move("z", 0.15), Move("y", 0.15)])
    covariance = np.cov(np.concatenate([x, z], axis=1).T)
    expected = np.zeros((DX + DZ, DX + DZ))
    expected[:DX, :DX] = T * np.linalg.inv(np.asarray(PRECISION))
    expected[DX:, DX:] = np.eye(DZ)
    np.testing.assert_allclose(covariance, expected, atol=0.06)
    np.testing.assert_allclose(x.mean(0), MEAN, atol=0.04)
    np.testing.assert_allclose(z.mean(0), 0.0, atol=0.05)


def test_temperature_divides_the_energy_and_not_tau():
    """The joint density with τ > 0 and a prior of z is the Gaussian that the formula says."""
    log_prob = hat_log_prob(
        energy, generate, temperature=T, tau=0.7, log_prior=standard_normal_log_prob
    )
    z, y, _ = run(log_prob, [Move("z", 0.15), Move("y", 0.15)])
    precision, pull = precision_of(tau=0.7, prior=1.0)
    covariance = np.linalg.inv(precision)
    found = np.concatenate([z, y], axis=1)
    np.testing.assert_allclose(np.cov(found.T), covariance, atol=0.03)
    np.testing.assert_allclose(found.mean(0), covariance @ pull, atol=0.03)


@pytest.mark.parametrize("tau, prior, rank", [(0.0, 0.0, DX), (0.7, 0.0, DX + DZ), (0.0, 1.0, 5)])
def test_joint_density_is_improper_without_tau_and_prior(tau, prior, rank):
    """Its log density is flat along G(z) + y = const: DZ directions without curvature."""
    log_prior = standard_normal_log_prob if prior else None
    log_prob = hat_log_prob(energy, generate, temperature=T, tau=tau, log_prior=log_prior)
    hessian = jax.hessian(
        lambda v: log_prob({"z": v[None, :DZ], "y": v[None, DZ:]})[0].astype(jnp.float32)
    )(jnp.full(DZ + DX, 0.3))
    np.testing.assert_allclose(-hessian, precision_of(tau, prior)[0], atol=1e-4)
    assert np.linalg.matrix_rank(hessian, tol=1e-3) == rank


@pytest.mark.parametrize("log_prior", [None, standard_normal_log_prob])
def test_a_bounded_generator_leaves_z_without_an_integral_unless_it_has_a_prior(log_prior):
    """τ > 0 alone does not do it: along a ray of z the log density tends to a constant."""
    log_prob = hat_log_prob(
        energy, lambda z: jnp.tanh(generate(z)), temperature=T, tau=0.7, log_prior=log_prior
    )
    far = jnp.array([20.0, 40.0])[:, None] * jnp.array([[0.6, -0.8]])
    near, further = log_prob({"z": far, "y": jnp.full((2, DX), 0.1)})
    expected = 0.0 if log_prior is None else -(40.0**2 - 20.0**2) / 2
    assert float(further - near) == pytest.approx(expected, abs=1e-2)


def test_z_stays_where_it_does_not_move():
    """Synthesis: y alone moves, and x still has the energy's moments at every z."""
    log_prob = hat_log_prob(energy, generate, temperature=T)
    z, _, x = run(log_prob, [Move("y", 0.2)])
    np.testing.assert_array_equal(z, jax.random.normal(jax.random.key(1), (8_000, DZ)))
    np.testing.assert_allclose(np.cov(x.T), T * np.linalg.inv(np.asarray(PRECISION)), atol=0.04)
    assert abs(np.corrcoef(x.T, z.T)[:DX, DX:]).max() < 0.03
