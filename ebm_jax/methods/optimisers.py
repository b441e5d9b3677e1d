"""One optimiser per parameter group, with the learning rates of the two training phases."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from ebm_jax.errors import ConfigError


class GroupOptimiser(NamedTuple):
    """`init`: params → state; `update`: (grads, state, params, step, factor=1) → (params, state).

    `factor` multiplies the learning rate.
    """

    init: Callable[[Any], Any]
    update: Callable[..., tuple[Any, Any]]


def optimisers_of(config) -> Callable[[str], "GroupOptimiser"]:
    """group → its optimiser, for a method that learns all groups from the first step on.

    Args:
      config: a whole experiment's config.
    """

    def optimiser(group: str) -> GroupOptimiser:
        settings = config.optim[group]
        rate = learning_rate(settings, 0, config.data.num_examples, config.data.batch_size)
        return group_optimiser(settings, rate)

    return optimiser


def learning_rate(config, warmup_steps: int, num_examples: int, batch_size: int):
    """step → learning rate: `learning_rate`, and `joint_learning_rate` after the warm-up if given.

    "Per epoch" decay needs the steps per epoch, which follow from the data set's size;
    `linear_decay_steps` takes the rate to zero in a straight line, `cosine_decay_steps` to
    `final_learning_rate` along half a cosine, and `rising_steps` up from zero at the start.

    Raises:
      ConfigError: a decay is asked for and the data set's size is unknown.
    """
    if config.decay_per_epoch != 1.0 and not num_examples:
        raise ConfigError(
            "decay_per_epoch needs the data set's size; set data.num_examples or open the data."
        )
    steps_per_epoch = max((num_examples or 1) // batch_size, 1)
    later = config.joint_learning_rate
    later = config.learning_rate if later is None else later

    def rate(step):
        base = jnp.where(step < warmup_steps, config.learning_rate, later)
        base = base * config.decay_per_epoch ** (step // steps_per_epoch)
        if config.linear_decay_steps:
            base = base * jnp.maximum(1.0 - step / config.linear_decay_steps, 0.0)
        if config.cosine_decay_steps:
            place = jnp.minimum(step / config.cosine_decay_steps, 1.0)
            last = config.final_learning_rate
            base = last + (base - last) * 0.5 * (1.0 + jnp.cos(jnp.pi * place))
        if config.rising_steps:
            base = base * jnp.minimum((step + 1) / config.rising_steps, 1.0)
        return base

    return rate


def group_optimiser(
    config, rate: Callable[[jax.Array], jax.Array], first_step: int = 0
) -> GroupOptimiser:
    """As the papers' code has it: gradient clip, L2 added to the gradient, then the algorithm.

    The learning rate is a function of the training step, not of the optimiser's own count, so a
    skipped update cannot shift the schedule.

    Args:
      config: settings of the group, as configs/base.py's `network_optimiser`.
      rate: step → learning rate.
      first_step: before it neither parameters nor moments move. (Moments that had averaged zeros
        would have lost their bias correction: the first updates would be several times too large.)
    """
    parts = []
    if config.clip_norm:
        parts.append(optax.clip_by_global_norm(config.clip_norm))
    if config.l2:
        parts.append(optax.add_decayed_weights(config.l2))
    scale = {"adam": optax.scale_by_adam, "adamax": optax.scale_by_adamax}.get(config.algorithm)
    parts.append(scale(b1=config.b1, b2=config.b2) if scale else optax.identity())
    transform = optax.chain(*parts)

    def update(grads, state, params, step, factor=1.0):
        updates, new_state = transform.update(grads, state, params)
        scale = -rate(step) * factor
        new_params = jax.tree.map(lambda p, u: p + scale * u, params, updates)
        if not first_step:
            return new_params, new_state
        return jax.tree.map(
            lambda new, old: jnp.where(step < first_step, old, new),
            (new_params, new_state),
            (params, state),
        )

    return GroupOptimiser(init=transform.init, update=update)
