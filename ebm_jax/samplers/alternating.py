"""Langevin dynamics that moves the parts of a position in turn, with the others as they are now."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp

from ebm_jax.samplers.chain import Info, Kernel, LogProb, Position
from ebm_jax.samplers.langevin import LangevinState, StepSize, langevin
from ebm_jax.samplers.noise import fold_in


class Move(NamedTuple):
    """How one part of the position moves.

    Attributes:
      part: its key in the position.
      step_size: ε, a standard deviation: a scalar or [B].
      clip: largest per-example L2 norm of the scaled gradient ε²/2 · ∇ log p, 0 = off.
    """

    part: str
    step_size: StepSize
    clip: float = 0.0


def alternating(log_prob: LogProb, moves: Sequence[Move], *, noise_scale: float = 1.0) -> Kernel:
    """Langevin steps on one part of the position after the other (Hat EBM, NeurIPS 2022, §3.3).

        a ← a + clip[(ε_a²/2) ∇_a log p(a, b)] + ε_a ξ
        b ← b + clip[(ε_b²/2) ∇_b log p(a, b)] + ε_b ξ′,  with the new a

    A part without a move stays where it is.

    Args:
      log_prob: {part: leaves [B, ...]} → [B].
      moves: in their order, each part at most once.
      noise_scale: factor on the noise (1 = Langevin, 0 = gradient ascent).

    Returns:
      Kernel. `Info.energy` is that before the last move; norms are over all parts.

    Raises:
      ValueError: no moves, or a part moves twice.
    """
    parts = [move.part for move in moves]
    if not parts or len(set(parts)) < len(parts):
        raise ValueError(f"the moves are of {parts}; name one part or more, each once.")

    def step(keys, state):
        position: Position = dict(state.position)
        infos = []
        for number, (part, step_size, clip) in enumerate(moves):
            kernel = langevin(
                lambda value, part=part, others=dict(position): log_prob({**others, part: value}),
                step_size,
                noise_scale=noise_scale,
                clip=clip,
            )
            moved, info = kernel.step(fold_in(keys, number), LangevinState(position[part]))
            position[part] = moved.position
            infos.append(info)
        return LangevinState(position), Info(
            energy=infos[-1].energy,
            grad_norm=jnp.sqrt(sum(info.grad_norm**2 for info in infos)),
            displacement=jnp.sqrt(sum(info.displacement**2 for info in infos)),
            finite=jnp.stack([info.finite for info in infos]).all(axis=0),
            accepted=infos[-1].accepted,
        )

    return Kernel(init=LangevinState, step=step)
