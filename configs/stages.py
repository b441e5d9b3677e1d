"""Energies on a hierarchical VAE that stays as it is: settings that their experiments share."""

import ml_collections
from ml_collections.config_dict import placeholder

from configs import base


def joint(c: ml_collections.ConfigDict) -> None:
    """Turns a hierarchical VAE's config into the joint EBM on it (CVPR 2023, two stages)."""
    _on_first_stage(c)
    c.method.name, c.method.stages = "joint", 2


def diffusion(c: ml_collections.ConfigDict) -> None:
    """Turns a hierarchical VAE's config into the diffusion EBM on it, T = 3 (ICML 2024)."""
    _on_first_stage(c)
    c.method.name = "diffusion"
    c.diffusion = ml_collections.ConfigDict(
        # num_steps: T;  step_rule: of η_t, annealed (the paper's) | conditional
        # weight_power: p of the levels' weights 1/η_t^p in the loss; 1 the paper's
        dict(num_steps=3, step_rule="annealed", weight_power=1.0)
    )
    c.sampler.prior.num_steps = 30  # K, of each level
    c.sampler.prior.step_size = 0.03  # b
    c.stability.max_grad_norm = 1e9  # gradients are of φ / η_t
    if c.model.generator.kind == "nvae":
        c.model.energy.hidden = (128,)
        c.model.energy.kind = "residual"  # the paper's; plain: those of `joint`, and faster


def joint_on_small_images(c) -> None:
    """`joint` on the deep model of 28-pixel images: 1 000 updates of 45 Langevin steps."""
    joint(c)
    _small(c, chain=45, step_size=0.3, learning_rate=1e-3, num_steps=1_000)


def diffusion_on_small_images(c) -> None:
    """`diffusion` there: as many Langevin steps, 3 000 updates of 15, and 3 × 15 in a sample."""
    diffusion(c)
    _small(c, chain=15, step_size=0.0055, learning_rate=1e-3, num_steps=3_000)
    c.optim.energy.cosine_decay_steps = c.train.num_steps
    c.model.energy.update(kind="plain", hidden=(200,), channels=32)


def diffusion_on_small_photographs(c) -> None:
    """`diffusion_on_small_images` as tuned on CIFAR-10: see `docs/experiments.md`.

    Energies are as wide as `joint`'s, levels weigh the same, and a sample's steps are divided.
    """
    diffusion_on_small_images(c)
    c.model.energy.channels = 64
    c.diffusion.weight_power = 0.0
    c.eval.level_shares = (8, 32, 5)  # as fashion_mnist_diffusion


def _small(c, *, chain, step_size, learning_rate, num_steps):
    c.sampler.prior.num_steps, c.sampler.prior.step_size = chain, step_size
    c.eval.long_chain_steps = 10 * chain  # 2 500 at each level would take hours
    c.optim.energy.learning_rate = learning_rate
    c.train.num_steps = num_steps
    c.train.ema_decay = 0.995


def against_mnist(c) -> None:
    """Task `ood`: is MNIST told from the model's own set, by the depth of the latents?"""
    c.eval.ood_data = ("mnist", "noise")
    c.eval.redraw = "mode"  # LLR^{>2} 0.985; with samples of p_β(z_{≤2} | z_3) 0.960
    c.eval.tasks = (*c.eval.tasks, "ood")


def control(c, attributes, *, layers=()) -> None:
    """Couples attributes with the latents (ICML 2024), so that samples can be asked for by them.

    Args:
      c: a config of energies on a backbone.
      attributes: (name, number of values) of each, see `ebm_jax.data.attributes`.
      layers: of each attribute, 1 = the bottom one; () for all.
    """
    c.data.attributes = attributes
    c.data.attribute_edges = placeholder(tuple)  # filled in: between the bins of measured ones
    # weight: of −log p(y|z) in the loss;  labels: of z, measured on its image: data's | decoded
    c.coupling = ml_collections.ConfigDict(
        dict(hidden=(256, 256), layers=layers, weight=1.0, labels="data")
    )
    c.optim.coupling = base.network_optimiser(1e-3)
    c.eval.guidance = 5.0  # weight of log p(y|z) when sampling
    # (steps, size in units of sampler.prior.step_size), … of such a chain, in place of prior_steps;
    # (): as without requests
    c.eval.request_steps = ()
    c.eval.control_samples = 1000  # of each attribute, and of all together
    c.eval.tasks = ("control", *c.eval.tasks)


def papers_joint(c, *, batch_size, learning_rate, chain, variance, num_steps) -> None:
    """`joint` with a paper's settings on the deep model.

    Args:
      c: the backbone's config.
      batch_size, learning_rate, num_steps: of training.
      chain: K, in training and when sampling.
      variance: η of the Langevin steps; `step_size` is its root.
    """
    joint(c)
    c.model.energy.update(hidden=(200,), channels=64, zero_init=False)
    _papers(c, batch_size, learning_rate, num_steps)
    c.sampler.prior.num_steps, c.eval.prior_steps = chain
    c.sampler.prior.step_size = variance**0.5


def papers_diffusion(c, *, batch_size, chain, scale, num_steps) -> None:
    """`diffusion` with the paper's settings on the deep model.

    Args:
      c: the backbone's config.
      batch_size, num_steps: of training.
      chain: K, at each level.
      scale: b²; `step_size` is its root.
    """
    diffusion(c)
    c.model.energy.update(channels=128, zero_init=False, spectral_norm=True)
    _papers(c, batch_size, 4e-5, num_steps)
    c.optim.energy.decay_per_epoch = 0.99  # the paper has such a decay and does not say how fast
    c.sampler.prior.num_steps = chain
    c.sampler.prior.step_size = scale**0.5


def _on_first_stage(c):
    c.model.energy.enabled = True
    c.train.warmup_steps = 0
    c.train.ema_decay = 0.999
    c.optim.energy_l2 = 0.0
    c.optim.energy = base.network_optimiser(1e-4)
    if c.model.generator.kind == "nvae":
        c.model.energy.hidden = (200,)
        del c.nvae  # the backbone's loss
        c.eval.recalibration_batches = 0  # energies learn in the u-space of training's statistics


def _papers(c, batch_size, learning_rate, num_steps):
    c.data.batch_size = batch_size
    c.optim.energy = base.network_optimiser(learning_rate)
    c.optim.energy.b1, c.optim.energy.l2 = 0.99, 3e-5
    c.train.num_steps = num_steps
