"""Suite `scaling`: how the cost of a joint training step grows, one setting at a time."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from benchmarks.examples import random_batch
from benchmarks.report import Row
from benchmarks.timing import interleaved
from configs import digits_joint
from ebm_jax import methods, parallel
from ebm_jax.training_step import build_step, init_loop_state

# (name, config key, values): the first value of each is what the others are compared with.
AXES = (
    ("batch", "data.batch_size", (128, 32, 512, 2048)),
    ("prior steps K", "sampler.prior.num_steps", (80, 20, 320)),
    ("layers L", "model.latent_sizes", ((16, 8), (24,), (16, 8, 8, 8), (16, *(8,) * 7))),
    ("image side", "data.image_size", (8, 16, 32, 64)),
)
DEVICES = (1, 2)


def run(repeats: int) -> list[Row]:
    """One row per value of each axis; `ratio` is the work per second against the axis's first."""
    rows = []
    for name, key, values in AXES:
        calls, facts = {}, {}
        for value in values:
            calls[str(value)], facts[value] = _step({key: value})
        times = interleaved(calls, repeats)
        first = str(values[0])
        for value in values:
            batch, memory, compiling = facts[value]
            grown = batch / facts[values[0]][0]  # examples in a step against the first's
            rows.append(
                Row(
                    work=f"digits joint step, {name} = {value}",
                    batch=batch,
                    against=f"{name} = {first}, per example",
                    ours_s=times.median(str(value)),
                    theirs_s=times.median(first) * grown,
                    ratio=times.ratio(first, str(value)) * grown,
                    per_second=batch / times.median(str(value)),
                    memory_mib=memory,
                    compile_s=compiling,
                )
            )
    return rows + _on_devices(repeats)


def _step(changes):
    """(call, (batch size, MiB of temporaries, seconds of compilation)) of one joint step."""
    config = digits_joint.get_config()
    config.data.num_examples = 1438
    config.train.warmup_steps = 0
    config.update_from_flattened_dict(changes)
    example = random_batch(config)
    key = jax.random.key(0)
    state = init_loop_state(methods.build(config), example, key)
    method = methods.build(config, axis_name=parallel.AXIS)
    step = parallel.pmap_step(build_step(method, config.stability, config.train.ema_decay))
    arguments = (parallel.split_batch(example), parallel.replicate(key))
    start = time.perf_counter()
    memory = step.lower(parallel.replicate(state), *arguments).compile().memory_analysis()
    facts = config.data.batch_size, memory.temp_size_in_bytes / 2**20, time.perf_counter() - start
    held = [parallel.replicate(state)]

    def call():  # the state is donated
        held[0] = step(held[0], *arguments)
        return held[0]

    return call, facts


def _on_devices(repeats):
    """The step of batch 512 on so many devices of this machine, each count in a process of its own,
    the counts taking turns."""
    kind = jax.devices()[0].platform
    counts = DEVICES if kind == "cpu" else [1, jax.local_device_count()]
    counts = sorted(set(counts))
    seconds = {count: [] for count in counts}
    for _ in range(max(1, min(3, repeats // 5))):
        for count in counts:
            seconds[count] += _in_a_process(kind, count, repeats)
    medians = {count: float(np.median(values)) for count, values in seconds.items()}
    return [
        Row(
            work=f"digits joint step on {count} device" + "s" * (count > 1),
            batch=512,
            against=f"{counts[0]} device",
            ours_s=median,
            theirs_s=medians[counts[0]],
            per_second=512 / median,
        )
        for count, median in medians.items()
    ]


_TIMED = """
import json, sys, time
import jax
from benchmarks.scaling import _step
call, _ = _step({"data.batch_size": 512})
jax.block_until_ready(call())
seconds = []
for _ in range(int(sys.argv[1])):
    start = time.perf_counter()
    jax.block_until_ready(call())
    seconds.append(time.perf_counter() - start)
print("seconds", json.dumps([jax.local_device_count(), seconds]))
"""


def _in_a_process(kind, count, repeats):
    environment = dict(os.environ)
    if kind == "cpu":
        flag = f"--xla_force_host_platform_device_count={count}"
        environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
    else:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(map(str, range(count)))
    done = subprocess.run(
        [sys.executable, "-c", _TIMED, str(repeats)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parent.parent,
    )
    used, seconds = json.loads(done.stdout.rsplit("seconds", 1)[1])
    if used != count:
        raise RuntimeError(f"asked for {count} devices, the process had {used}.")
    return seconds
