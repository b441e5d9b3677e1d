"""Suite `compiling`: what XLA's work costs in time, and what its programs need in memory."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp

from benchmarks.report import Row
from configs import cifar10_joint, mnist_joint
from ebm_jax.models import latent_variable
from ebm_jax.nn import convolution


def run(repeats: int) -> list[Row]:
    """The quickstart's programs; the conv generators' gradients against plain `lax` layers."""
    conv_mnist = mnist_joint.get_config()
    conv_mnist.model.generator.kind = "conv"
    conv_mnist.model.generator.hidden = (64, 32, 16)
    rows = _quickstart()
    for name, config, batch in (
        ("cifar10", cifar10_joint.get_config(), 4),
        ("cifar10", cifar10_joint.get_config(), 20),
        ("mnist conv", conv_mnist, 128),
    ):
        rows.append(_generator(name, config, batch, max(2, repeats // 4)))
    return rows


def _generator(name, config, batch, repeats):
    """Compiling all gradients of a generator, its layers ours or plain `lax`."""
    config.data.num_examples = 50_000
    model = latent_variable.build(config, config.data.channels, with_inference=False)
    params = jax.eval_shape(model.init, jax.random.key(0))
    z = tuple(jnp.zeros((batch, size)) for size in config.model.latent_sizes)

    def compiled():
        def loss(params, z):
            return jnp.sum(model.decode(params, z) ** 2)

        lowered = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(params, z)
        start = time.perf_counter()
        memory = lowered.compile().memory_analysis().temp_size_in_bytes
        return time.perf_counter() - start, memory / 2**20

    ours, plain = [], []
    for _ in range(repeats):
        ours.append(compiled())
        with mock.patch.object(convolution, "choose", lambda *_: "lax"):
            plain.append(compiled())
    (ours_s, ours_mib), (plain_s, plain_mib) = (
        tuple(sorted(column)[len(column) // 2] for column in zip(*found, strict=True))
        for found in (ours, plain)
    )
    return Row(
        work=f"compiling all gradients of the {name} generator (plain needs {plain_mib:.0f} MiB)",
        batch=batch,
        against="plain lax, × 1.5",
        ours_s=ours_s,
        theirs_s=1.5 * plain_s,
        goal=1.0,
        memory_mib=ours_mib,
    )


_COMPILED = """
import sys, jax
total = [0.0]
def listen(event, seconds, **_):
    if event == "/jax/core/compile/backend_compile_duration":
        total[0] += seconds
jax.monitoring.register_event_duration_secs_listener(listen)
from configs import digits_joint
from ebm_jax import modes
config = digits_joint.get_config()
config.train.num_steps = config.train.log_every = config.train.image_every = 20
config.train.checkpoint_every, config.train.warmup_steps = 20, 10
modes.run("train", config, sys.argv[1])
print("compiled", total[0])
"""


def _quickstart():
    """Seconds XLA spends in a quickstart of 20 steps, with an empty cache and with a full one."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "EBM_JAX_CACHE": str(Path(folder) / "cache")}
        for kind, limit in (("cold", 20.0), ("warm", 5.0)):
            done = subprocess.run(
                [sys.executable, "-c", _COMPILED, str(Path(folder) / kind)],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
                cwd=Path(__file__).resolve().parent.parent,
            )
            seconds = float(done.stdout.rsplit("compiled", 1)[1])
            rows.append(
                Row(
                    work=f"compiling the quickstart, {kind} cache",
                    batch=128,
                    against=f"{limit:.0f} s",
                    ours_s=seconds,
                    theirs_s=limit,
                    goal=1.0,
                )
            )
    return rows
