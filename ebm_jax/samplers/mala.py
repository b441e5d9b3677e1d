"""Metropolis-adjusted Langevin: the Langevin proposal with an accept step, so it is exact."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax.samplers.chain import (
    Info,
    Kernel,
    LogProb,
    Position,
    all_finite,
    squared_norm,
    value_and_grad,
)
from ebm_jax.samplers.langevin import StepSize, coefficients
from ebm_jax.samplers.noise import normal_like, uniform


class MalaState(NamedTuple):
    """The position (leaves [B, ...]) with its density and gradient, which a rejection reuses."""

    position: Position
    log_prob: jax.Array  # [B], of log p / temperature
    grad: Position


def mala(
    log_prob: LogProb,
    step_size: StepSize,
    *,
    convention: str = "std",
    temperature: float = 1.0,
) -> Kernel:
    """MALA on `log_prob` / temperature, each chain accepting for itself.

    The proposal is `langevin`'s; a proposal with a non-finite density is rejected, so one bad
    region cannot poison a chain. Arguments as `langevin`'s.

    Returns:
      Kernel. `Info.energy` and `Info.grad_norm` belong to the position after the accept step.
    """
    density = value_and_grad(lambda position: log_prob(position) / temperature)

    def log_proposal(grad, drift, noise, move):
        """log q(x + move | x) up to a constant, [B]."""
        residual = jax.tree.map(lambda m, d, g, n: (m - d * g) / n, move, drift, grad, noise)
        return -0.5 * squared_norm(residual)

    def init(position):
        value, grad = density(position)
        return MalaState(position, value, grad)

    def step(keys, state):
        drift, noise = coefficients(step_size, state.position, convention)
        xi = normal_like(keys, state.position)
        move = jax.tree.map(lambda d, g, n, e: d * g + n * e, drift, state.grad, noise, xi)
        proposal = jax.tree.map(jnp.add, state.position, move)
        value, grad = density(proposal)
        back = jax.tree.map(jnp.negative, move)
        log_ratio = (
            value
            - state.log_prob
            + log_proposal(grad, drift, noise, back)
            - log_proposal(state.grad, drift, noise, move)
        )
        accept = jnp.log(uniform(keys)) < log_ratio  # False for NaN
        accept = accept & jnp.isfinite(value) & all_finite(proposal) & all_finite(grad)

        def choose(new, old):
            return jnp.where(accept.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        new_state = MalaState(
            jax.tree.map(choose, proposal, state.position),
            choose(value, state.log_prob),
            jax.tree.map(choose, grad, state.grad),
        )
        info = Info(
            energy=-new_state.log_prob * temperature,
            grad_norm=jnp.sqrt(squared_norm(new_state.grad)) * temperature,
            displacement=jnp.where(accept, jnp.sqrt(squared_norm(move)), 0.0),
            finite=all_finite(new_state.position),
            accepted=accept.astype(value.dtype),
        )
        return new_state, info

    return Kernel(init=init, step=step)
