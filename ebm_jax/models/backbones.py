"""Which model a config's nets make."""

from ebm_jax.models import deep, latent_variable
from ebm_jax.models.latent_variable import LatentVariableModel


def build(
    config, num_outputs: int, *, with_inference: bool, axis_name: str | None = None
) -> LatentVariableModel:
    """The model of `config.model`: deep where `generator.kind` is 'nvae', else of vectors.

    Args, Raises: as `deep.build`.
    """
    if config.model.generator.kind == "nvae":
        return deep.build(config, num_outputs, with_inference=with_inference, axis_name=axis_name)
    return latent_variable.build(config, num_outputs, with_inference=with_inference)
