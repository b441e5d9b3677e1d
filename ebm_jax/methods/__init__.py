"""Methods: what is learned from what. The loop sees them only as `Method`."""

from ebm_jax.errors import ConfigError
from ebm_jax.methods import autoencoder, diffusion, hat, joint, ladder, nvae, sngan
from ebm_jax.methods.base import (
    InferenceState,
    Method,
    Samples,
    TrainState,
    compiled,
    inference_state,
)
from ebm_jax.methods.sampling import prior_steps

_METHODS = {
    "autoencoder": autoencoder.build,
    "diffusion": diffusion.build,
    "hat": hat.build,
    "joint": joint.build,
    "ladder": ladder.build,
    "nvae": nvae.build,
    "sngan": sngan.build,
}


def build(config, axis_name: str | None = None) -> Method:
    """The method of `config.method.name`.

    Args:
      config: a whole experiment's config.
      axis_name: the mapped axis gradients and metrics are averaged over; None on one device.

    Raises:
      ConfigError: unknown method, or settings that do not fit together.
    """
    name = config.method.name
    if name not in _METHODS:
        raise ConfigError(f"method.name is '{name}'; known methods: {', '.join(sorted(_METHODS))}.")
    return _METHODS[name](config, axis_name)


__all__ = [
    "InferenceState",
    "Method",
    "Samples",
    "TrainState",
    "build",
    "compiled",
    "inference_state",
    "prior_steps",
]
