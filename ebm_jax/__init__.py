"""Latent-space energy-based models in JAX."""

__version__ = "0.1.0"


def load(directory):
    """Loads an inference export; see `ebm_jax.export.load`."""
    from ebm_jax.export import load as load_export  # jax only when needed

    return load_export(directory)
