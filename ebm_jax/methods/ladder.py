"""Hierarchical features with a joint latent EBM (ICCV 2023): the ladder model, learned jointly.

p(x, z) = p(x|z) (1/Z) exp f([z_1 … z_L]) N(z; 0, I). The generator and the inference net minimise
−log p(x|z) + KL(q(z|x) ‖ N(0, I)) − f(z), the energy contrasts z ~ q(z|x) with Langevin samples of
its prior: the estimators of method `joint` with other nets and a prior without parameters. Without
the energy it is the ladder VAE. (The KL is estimated at the sampled z, not in closed form.)
"""

from ebm_jax.methods import joint
from ebm_jax.methods.base import Method
from ebm_jax.models import energies, ladder


def build(config, axis_name: str | None = None) -> Method:
    """The method's pure functions for one experiment; see `joint.build`.

    Raises:
      ConfigError: settings that do not fit together.
    """
    method = joint.build(config, axis_name, ladder.build, energies.one_for_all)
    other = "turn on model.energy.spectral_norm"
    if config.model.energy.spectral_norm:
        other = "raise optim.energy_l2"
    advice = f"lower the rate of optim.energy, or {other}"
    return method._replace(name="ladder", advice=advice)
