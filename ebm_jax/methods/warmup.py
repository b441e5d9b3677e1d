"""Updates at the start of training that need no chains."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def after_warmup(config, step: jax.Array, run: Callable[[], Any]) -> tuple[jax.Array, Any]:
    """(0.0, zeros like run()) in the first `train.warmup_steps` updates, then (1.0, run()).

    Args:
      config: the experiment's.
      step: int32, of the update.
      run: what the warm-up saves, a chain.
    """
    if not config.train.warmup_steps:
        return jnp.ones(()), run()

    def skip():
        shapes = jax.eval_shape(run)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

    over = step >= config.train.warmup_steps
    return over.astype(jnp.float32), jax.lax.cond(over, run, skip)
