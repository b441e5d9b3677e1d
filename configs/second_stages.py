"""Energies on a hierarchical VAE that stays as it is: settings that their experiments share."""

import ml_collections

from configs import base


def joint(c: ml_collections.ConfigDict) -> None:
    """Turns a hierarchical VAE's config into the joint EBM on it (CVPR 2023, two stages)."""
    _on_first_stage(c)
    c.method.name = "joint"


def diffusion(c: ml_collections.ConfigDict) -> None:
    """Turns a hierarchical VAE's config into the diffusion EBM on it, T = 3 (ICML 2024)."""
    _on_first_stage(c)
    c.method.name = "diffusion"
    c.diffusion = ml_collections.ConfigDict(dict(num_steps=3))  # T
    c.stability.max_grad_norm = 1e9  # gradients are of φ / η_t


def _on_first_stage(c):
    c.model.energy.enabled = True
    c.train.warmup_steps = 0
    c.optim.energy_l2 = 0.0
    c.optim.energy = base.network_optimiser(1e-4)
