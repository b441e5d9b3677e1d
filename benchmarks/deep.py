"""Suite `deep`: Langevin steps through a deep hierarchical VAE, beside PyTorch and Flax's SiLU."""

import functools
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp

from benchmarks.report import Row
from benchmarks.timing import interleaved
from configs import mnist_two_stage
from ebm_jax import randomness
from ebm_jax.methods import latent_model
from ebm_jax.models import backbones, energies
from ebm_jax.nn import nvae_cells

STEPS = 15
_GOALS = {"flax.linen.silu": 1.1, "PyTorch eager": 1.4}


def run(repeats: int) -> list[Row]:
    """A step in u-space of the joint EBM on MNIST's model, and the same with `flax.linen.silu`.

    Ours includes what a whole chain has beside its steps: the start to z and back, the end to z.
    """
    config, parts, params = deep_model()
    calls = {"ours": _chain(config, parts, params)}
    with mock.patch.object(nvae_cells, "silu", nn.silu):
        calls["flax.linen.silu"] = _chain(config, parts, params)
    calls |= _torch(config, parts, params)
    times = interleaved(calls, repeats)
    return [
        Row(
            work="Langevin step in u-space, MNIST's deep model",
            batch=config.data.batch_size,
            against=name,
            ours_s=times.median("ours") / STEPS,
            theirs_s=times.median(name) / STEPS,
            ratio=times.ratio(name, "ours"),
            goal=goal,
        )
        for name, goal in _GOALS.items()
        if name in calls
    ]


def deep_model():
    """(config, its LatentModel, parameters) of the joint EBM on MNIST's deep model."""
    config = mnist_two_stage.get_config()
    config.model.energy.zero_init = False
    parts = latent_model.build_parts(
        config, backbones.build, energies.one_per_layer, second_stage=True
    )
    params = jax.jit(parts.model.init)(jax.random.key(0))
    return config, parts, params | {"energy": parts.energies.init(jax.random.key(1))}


def _chain(config, parts, params):
    """A call of one compiled chain."""
    keys = randomness.per_example(jax.random.key(1), jnp.arange(config.data.batch_size))
    chain = jax.jit(lambda params: parts.chains.prior(params, keys, STEPS).position)
    return functools.partial(chain.lower(params).compile(), params)


def _torch(config, parts, params):
    try:
        import torch

        from benchmarks import torch_deep, torch_twins
    except ImportError:
        return {}
    density = torch_deep.Density(params, floor=config.model.prior.sigma_floor)
    step_size = config.sampler.prior.step_size
    shapes = [(config.data.batch_size, c, h, w) for h, w, c in parts.model.latent_shapes]

    def call():
        start = tuple(map(torch.randn, shapes))
        return torch_twins.langevin(density, start, STEPS, step_size)[0].numpy()

    return {"PyTorch eager": call}
