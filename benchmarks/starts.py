"""Suite `starts`: training with posterior chains that start at q, against those from noise."""

import functools

import jax

from benchmarks.examples import random_batch
from benchmarks.report import Row
from benchmarks.timing import interleaved
from configs import cifar10_joint, mnist_joint_mcmc, mnist_joint_warm
from ebm_jax import methods
from ebm_jax.training_step import init_loop_state


def run(repeats: int) -> list[Row]:
    """A joint step with 40 posterior steps from N(0, I) and with 5 from an inference net."""
    warm = mnist_joint_warm.get_config()
    rows = [_row("MNIST", 128, mnist_joint_mcmc.get_config(), warm, 4.0, repeats)]
    for batch in (4, 20):
        cifar, cifar_warm = cifar10_joint.get_config(), cifar10_joint.get_config()
        cifar_warm.sampler.posterior = warm.sampler.posterior
        name = "CIFAR-10, exact nets"
        rows.append(_row(name, batch, cifar, cifar_warm, 4.0, max(3, repeats // 3)))
    return rows


def _row(name, batch, noise, warm, goal, repeats):
    calls = {"noise": _step(noise, batch), "warm": _step(warm, batch)}
    times = interleaved(calls, repeats)
    chain = warm.sampler.posterior.num_steps
    return Row(
        work=f"{name} joint step, posterior chains of {chain} steps from q",
        batch=batch,
        against=f"{noise.sampler.posterior.num_steps} steps from noise",
        ours_s=times.median("warm"),
        theirs_s=times.median("noise"),
        ratio=times.ratio("noise", "warm"),
        goal=goal,
    )


def _step(config, batch):
    """One update behind the warm-up, as a function of no arguments."""
    config.data.num_examples = 50_000
    config.train.warmup_steps = 0
    example = random_batch(config, batch)
    method, key = methods.build(config), jax.random.key(0)
    state = init_loop_state(method, example, key).train
    return functools.partial(jax.jit(method.update), state, example, key)
