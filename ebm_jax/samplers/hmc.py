"""Hamiltonian Monte Carlo: leapfrog trajectories with an accept step, so it is exact."""

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
from ebm_jax.samplers.noise import fold_in, normal_like, uniform

_JITTER_STREAM = 0x7FFFFFFE  # beside the streams of `normal_like` and `uniform`


class HmcState(NamedTuple):
    """The position (leaves [B, ...]) with its density and gradient, which a rejection reuses."""

    position: Position
    log_prob: jax.Array  # [B], of log p / temperature
    grad: Position


def hmc(
    log_prob: LogProb,
    step_size: StepSize,
    *,
    num_leapfrog: int = 10,
    jitter: float = 0.0,
    temperature: float = 1.0,
) -> Kernel:
    """HMC on `log_prob` / temperature with unit masses, each chain accepting for itself.

        p ~ N(0, I);  L times:  p ← p + ε/2 ∇log p(x),  x ← x + ε p,  p ← p + ε/2 ∇log p(x)

    and acceptance with the change of log p(x) − |p|²/2 (Neal 2011, §5.3). One leapfrog step is
    MALA of convention "std" with the same step size. A trajectory that ends where the density is
    not finite is rejected.

    Args:
      log_prob: position → [B].
      step_size: ε, a scalar, a [B] array, or a pytree like the position of such values (a step of
        its own for a leaf is a mass of its own).
      num_leapfrog: L ≥ 1.
      jitter: every trajectory takes ε times a uniform number of [1 − jitter, 1 + jitter), so that
        none comes round in a circle on a Gaussian; in [0, 1).
      temperature: the chain targets log p / temperature.

    Returns:
      Kernel. `Info.energy` and `Info.grad_norm` belong to the position after the accept step.

    Raises:
      ValueError: `num_leapfrog` or `jitter` is out of range.
    """
    if num_leapfrog < 1 or not 0 <= jitter < 1:
        raise ValueError(
            f"num_leapfrog is {num_leapfrog} and jitter is {jitter}; use at least 1 step and a "
            "jitter in [0, 1)."
        )
    density = value_and_grad(lambda position: log_prob(position) / temperature)

    def steps_of(keys, position):
        """ε for every leaf, shaped to broadcast against it."""
        _, epsilon = coefficients(step_size, position, "std")
        if not jitter:
            return epsilon
        factor = 1 + jitter * (2 * uniform(fold_in(keys, _JITTER_STREAM)) - 1)
        return jax.tree.map(
            lambda e, x: e * _per_chain(factor, x).astype(x.dtype), epsilon, position
        )

    def init(position):
        value, grad = density(position)
        return HmcState(position, value, grad)

    def step(keys, state):
        epsilon = steps_of(keys, state.position)
        momentum = normal_like(keys, state.position)

        def kick(momentum, grad):
            return jax.tree.map(lambda p, e, g: p + e / 2 * g, momentum, epsilon, grad)

        def leap(_, carry):
            position, momentum, _, grad = carry
            momentum = kick(momentum, grad)
            position = jax.tree.map(lambda x, e, p: x + e * p, position, epsilon, momentum)
            value, grad = density(position)
            return position, kick(momentum, grad), value, grad

        start = (state.position, momentum, state.log_prob, state.grad)
        proposal, final, value, grad = jax.lax.fori_loop(0, num_leapfrog, leap, start)
        log_ratio = value - state.log_prob + 0.5 * (squared_norm(momentum) - squared_norm(final))
        accept = jnp.log(uniform(keys)) < log_ratio  # False for NaN
        accept = accept & jnp.isfinite(value) & all_finite(proposal) & all_finite(grad)

        def choose(new, old):
            return jnp.where(_per_chain(accept, new), new, old)

        new_state = HmcState(
            jax.tree.map(choose, proposal, state.position),
            choose(value, state.log_prob),
            jax.tree.map(choose, grad, state.grad),
        )
        move = jax.tree.map(jnp.subtract, new_state.position, state.position)
        info = Info(
            energy=-new_state.log_prob * temperature,
            grad_norm=jnp.sqrt(squared_norm(new_state.grad)) * temperature,
            displacement=jnp.sqrt(squared_norm(move)),
            finite=all_finite(new_state.position),
            accepted=accept.astype(value.dtype),
        )
        return new_state, info

    return Kernel(init=init, step=step)


def _per_chain(values, leaf):
    """[B] shaped to broadcast against a leaf [B, ...]."""
    return values.reshape(-1, *[1] * (leaf.ndim - 1))
