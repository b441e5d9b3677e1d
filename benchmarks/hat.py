"""Suite `hat`: steps of Hat EBM's chain on CIFAR-10, beside PyTorch and beside the products."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.examples import random_batch
from benchmarks.products import Product, matmuls
from benchmarks.report import Row
from benchmarks.timing import interleaved
from configs import cifar10_hat
from ebm_jax import randomness
from ebm_jax.densities.hat import hat_log_prob
from ebm_jax.models import hat
from ebm_jax.samplers import Move, alternating, run_chain

BATCH, STEPS = 8, 5


def run(repeats: int) -> list[Row]:
    """A step of the residual's chain with z fixed (synthesis), the paper's nets."""
    config = cifar10_hat.get_config()
    params, image, chain = _chain(config)
    calls = {"ours": chain, "matmul": matmuls([(STEPS, product) for product in _products()])}
    calls |= _torch(params, image, config)
    times = interleaved(calls, repeats)
    theirs = "PyTorch eager" in calls
    return [
        Row(
            work="CIFAR-10 hat chain step",
            batch=BATCH,
            against="PyTorch eager" if theirs else "its matrix products",
            ours_s=times.median("ours") / STEPS,
            theirs_s=times.median("PyTorch eager") / STEPS if theirs else None,
            ratio=times.ratio("PyTorch eager", "ours") if theirs else None,
            goal=1.1 if theirs else None,
            peak_fraction=times.ratio("matmul", "ours"),
            peak_goal=0.85,
        )
    ]


def _chain(config, noise_scale=1.0):
    """(parameters of the energy, G(z) in the chain's place, a call of `STEPS` steps)."""
    critic = hat.build_critic(config, "energy", pool="mean")
    params = critic.init(jax.random.key(0))
    image = jnp.asarray(random_batch(config, BATCH)["image"])
    keys = randomness.per_example(jax.random.key(1), jnp.arange(BATCH))
    settings = config.sampler.prior

    @jax.jit
    def chain(params, image):
        log_prob = hat_log_prob(
            functools.partial(critic.apply, params),
            lambda _: image,
            temperature=config.hat.temperature,
        )
        moves = [Move("y", settings.step_size, settings.clip)]
        kernel = alternating(log_prob, moves, noise_scale=noise_scale)
        start = {"z": jnp.zeros((BATCH, 1)), "y": jnp.zeros_like(image)}
        return run_chain(kernel, keys, start, STEPS).position["y"]

    return params, image, functools.partial(chain, params, image)


def _torch(params, image, config):
    try:
        import torch

        from benchmarks import torch_hat
    except ImportError:
        return {}
    energy = torch_hat.Energy()
    torch_hat.load(energy, params)
    x = torch.tensor(jax.device_get(image)).permute(0, 3, 1, 2).contiguous()
    settings = config.sampler.prior
    chain = functools.partial(
        torch_hat.chain, energy, x, STEPS, settings.step_size, config.hat.temperature, settings.clip
    )
    return {"PyTorch eager": chain}


def _products() -> list[Product]:
    """All products of one step: every layer of H forward, and its gradient to the input."""
    width = 256

    def pixels(side):
        return BATCH * side**2

    # A convolution of 3×3 and the means of 2×2 that follow it are one of 4×4.
    layers = [(pixels(32), 27, width), (pixels(16), 16 * width, width), (pixels(16), 3, width)]
    layers += [(pixels(16), 9 * width, width), (pixels(8), 16 * width, width)]
    layers += [(pixels(8), width, width)] + 4 * [(pixels(8), 9 * width, width)]
    back = [(rows, outputs, inputs) for rows, inputs, outputs in layers]
    return layers + back
