"""Samplers: kernels over log densities, and the chain that runs them."""

from ebm_jax.samplers.alternating import Move, alternating
from ebm_jax.samplers.chain import Chain, Info, Kernel, run_chain
from ebm_jax.samplers.hmc import hmc
from ebm_jax.samplers.langevin import langevin
from ebm_jax.samplers.mala import mala
from ebm_jax.samplers.noise import normal_like

__all__ = [
    "Chain",
    "Info",
    "Kernel",
    "Move",
    "alternating",
    "hmc",
    "langevin",
    "mala",
    "normal_like",
    "run_chain",
]
