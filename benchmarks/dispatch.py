"""Suite `dispatch`: what the host adds to small models' steps, and what compiling costs."""

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import numpy as np

from benchmarks.report import Row
from benchmarks.timing import interleaved
from configs import digits_joint, mnist_joint
from ebm_jax import methods, parallel
from ebm_jax.training_step import build_step, init_loop_state

_STEPS = 20


def run(repeats: int) -> list[Row]:
    """Steps one by one and as the config has it against many per dispatch; compile times."""
    rows = []
    for name, module, compiles in (("digits", digits_joint, True), ("mnist", mnist_joint, False)):
        rows += _host_overhead(name, module.get_config(), repeats)
        rows += _compile_times() if compiles else []
    return rows


def _host_overhead(name, config, repeats):
    """20 joint steps in so many dispatches; the largest dispatch is the device's own time."""
    config.data.num_examples = 1438
    config.train.warmup_steps = 0
    batch, side = config.data.batch_size, config.data.image_size
    images = np.random.default_rng(0).uniform(-1, 1, (batch, side, side, 1)).astype(np.float32)
    example = {"image": images, "index": np.arange(batch), "label": np.zeros(batch, int)}
    key = jax.random.key(0)
    state = init_loop_state(methods.build(config), example, key)
    method = methods.build(config, axis_name=parallel.AXIS)
    step = parallel.pmap_step(build_step(method, config.stability, config.train.ema_decay))
    keys = parallel.replicate(key)

    def steps(stride):
        stacked = {name: np.concatenate([leaf] * stride) for name, leaf in example.items()}
        current = parallel.replicate(state)
        for _ in range(_STEPS // stride):
            current = step(current, parallel.split_batch(stacked, stride), keys)
        return current

    own = config.train.steps_per_dispatch
    strides = sorted({1, own, _STEPS})
    times = interleaved({str(s): functools.partial(steps, s) for s in strides}, repeats)
    return [
        Row(
            work=f"{name} joint training, {_STEPS} steps, {stride} per dispatch",
            batch=batch,
            against=f"{_STEPS} per dispatch + 10 %",
            ours_s=times.median(str(stride)),
            theirs_s=times.median(str(_STEPS)) / 0.9,
            ratio=times.ratio(str(_STEPS), str(stride)) / 0.9,
            goal=1.0 if stride == own else None,
        )
        for stride in strides[:-1]
    ]


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


def _compile_times():
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
