"""Suite `joint`: paper 1's CIFAR-10 model, training step and prior chain, beside PyTorch."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.examples import random_batch
from benchmarks.products import matmuls
from benchmarks.report import Row
from benchmarks.timing import Times, interleaved
from configs import cifar10_joint
from ebm_jax import methods, randomness
from ebm_jax.methods import latent_model
from ebm_jax.models import energies, latent_variable
from ebm_jax.training_step import init_loop_state


def training_steps(repeats: int, batches=(4, 20)) -> list[Row]:
    """One step of MCMC learning with the exact nets (40 posterior, 60 prior steps)."""
    rows = []
    goals = {4: 1.4, 20: 1.15}
    for batch in batches:
        config, *_ = joint_model(batch)
        method = methods.build(config)
        example = random_batch(config)
        key = jax.random.key(0)
        state = init_loop_state(method, example, key).train
        update = jax.jit(method.update)
        calls = {"ours": functools.partial(update, state, example, key)}
        calls |= _torch_training(state.params, example["image"])
        calls["matmul"] = matmuls(_training_products(batch))
        times = interleaved(calls, repeats)
        rows += _rows(f"CIFAR-10 joint training step, {batch} images", batch, times, goals[batch])
        rows[-1].peak_fraction = times.ratio("matmul", "ours")
        rows[-1].peak_goal = 0.9
    return rows


def prior_chains(repeats: int, batches=(100, 1000)) -> list[Row]:
    """60 prior steps in z-space as the released code takes them."""
    rows = []
    goals = {100: (1.7, 0.8), 1000: (1.4, 0.9)}
    for batch in batches:
        calls = {"ours": prior_chain_call(batch)}
        calls |= _torch_prior(joint_model(batch)[2], batch)
        calls["matmul"] = matmuls([(60, shape) for shape in _prior_shapes(batch)])
        times = interleaved(calls, repeats)
        ratio, peak = goals[batch]
        rows += _rows("prior chain of 60 steps, paper 1's nets", batch, times, ratio)
        rows[-1].peak_fraction = times.ratio("matmul", "ours")
        rows[-1].peak_goal = peak
    return rows


def joint_model(batch: int):
    """(config, its LatentModel, parameters) of paper 1's CIFAR-10 nets."""
    config = cifar10_joint.get_config()
    config.data.batch_size = batch
    config.data.num_examples = 50_000
    parts = latent_model.build_parts(config, latent_variable.build, energies.one_per_layer)
    key = jax.random.key(0)
    return config, parts, {**parts.model.init(key), "energy": parts.energies.init(key)}


def prior_chain_call(batch: int):
    """A function of no arguments that runs one prior chain of 60 steps."""
    _, parts, params = joint_model(batch)
    run = jax.jit(lambda params, keys: parts.chains.prior(params, keys, 60).position)
    keys = randomness.per_example(jax.random.key(1), jnp.arange(batch))
    return lambda: run(params, keys)


def run(repeats: int) -> list[Row]:
    return prior_chains(repeats) + training_steps(max(3, repeats // 3))


def _rows(work, batch, times: Times, goal) -> list[Row]:
    """Ours against every PyTorch variant; the goal is about the eager one, which comes last."""
    rows = []
    for name in sorted(n for n in times.seconds if n.startswith("PyTorch")):
        row = Row(
            work=work,
            batch=batch,
            against=name,
            ours_s=times.median("ours"),
            theirs_s=times.median(name),
            ratio=times.ratio(name, "ours"),
            goal=goal if name == "PyTorch eager" else None,
        )
        rows.append(row)
    return rows or [Row(work=work, batch=batch, against="–", ours_s=times.median("ours"))]


def _torch_training(params, images):
    try:
        import torch

        from benchmarks import torch_twins
    except ImportError:
        return {}
    model = torch_twins.JointModel()
    torch_twins.load(model, params)
    x = torch.tensor(images).permute(0, 3, 1, 2).contiguous()
    optimisers = torch_twins.optimisers_of(model)
    return {"PyTorch eager": lambda: torch_twins.training_step(model, optimisers, x).item()}


def _torch_prior(params, batch):
    try:
        import torch

        from benchmarks import torch_twins
    except ImportError:
        return {}
    model = torch_twins.JointModel()
    torch_twins.load_dense(model.prior, params["prior"]["layer_1"])
    for number, energy in enumerate(model.energies):
        torch_twins.load_dense(energy, params["energy"][f"layer_{number + 1}"])
    compiled = torch.compile(model.log_prior)

    def chain(log_prob):
        start = torch.randn(batch, 128), torch.randn(batch, 100)
        return torch_twins.langevin(log_prob, start, 60, 0.4)[0].numpy()

    return {
        "PyTorch eager": lambda: chain(model.log_prior),
        "PyTorch compiled": lambda: chain(compiled),
    }


def _prior_shapes(batch):
    """(rows, inputs, outputs) of the products of one step: forward, and gradient to the input."""
    nets = ((128, 200, 200, 200, 1), (100, 100, 100, 1), (100, 200, 200, 200, 200, 256))
    shapes = []
    for sizes in nets:
        for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
            shapes += [(batch, inputs, outputs), (batch, outputs, inputs)]
    return shapes


def _training_products(batch):
    """The products of a training step, convolutions as the products they amount to."""
    generator = [(batch, 128, 64 * 1024)]
    generator += [(batch * 64 * 4, 4 * 1024, 512), (batch * 256 * 4, 4 * 512, 256)]
    generator += [(batch * 1024, 9 * 256, 3)]
    per_step = generator + [(rows, outputs, inputs) for rows, inputs, outputs in generator]
    learning = per_step + [(inputs, rows, outputs) for rows, inputs, outputs in generator]
    counted = [(40, shape) for shape in per_step] + [(1, shape) for shape in learning]
    return counted + [(100, shape) for shape in _prior_shapes(batch)]
