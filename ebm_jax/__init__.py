"""Latent-space energy-based models in JAX."""

import os as _os

__version__ = "0.1.0"

# XLA:CPU hands sums and matrix products to YNNPACK unless told otherwise. Its sums are up to 10
# times as fast as XLA's own; its products are not: Eigen's take up to a third less time at the
# sizes of latent EBMs (docs/performance.md). Read when a backend starts; a flag set outside stays.
if "xla_cpu_experimental_ynn_fusion_type" not in _os.environ.get("XLA_FLAGS", ""):
    _FLAG = "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_REDUCE"
    _os.environ["XLA_FLAGS"] = f"{_os.environ.get('XLA_FLAGS', '')} {_FLAG}".strip()


def load(directory):
    """Loads an inference export; see `ebm_jax.export.load`."""
    from ebm_jax.export import load as load_export  # jax only when needed

    return load_export(directory)
