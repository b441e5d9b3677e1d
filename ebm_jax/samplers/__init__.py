"""Samplers: kernels over log densities, and the chain that runs them."""

from ebm_jax.samplers.alternating import Move, alternating
from ebm_jax.samplers.chain import Chain, Info, Kernel, run_chain
from ebm_jax.samplers.hmc import hmc
from ebm_jax.samplers.langevin import annealed_langevin, langevin
from ebm_jax.samplers.mala import mala
from ebm_jax.samplers.noise import normal_like

__all__ = [
    "Chain",
    "Info",
    "Kernel",
    "Move",
    "alternating",
    "annealed_langevin",
    "hmc",
    "langevin",
    "mala",
    "normal_like",
    "run_chain",
]
