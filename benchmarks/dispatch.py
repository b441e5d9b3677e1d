"""Suite `dispatch`: what the host adds to small models' steps."""

import functools

import jax
import numpy as np

from benchmarks.examples import random_batch
from benchmarks.report import Row
from benchmarks.timing import interleaved
from configs import digits_joint, mnist_joint
from ebm_jax import methods, parallel
from ebm_jax.training_step import build_step, init_loop_state

_STEPS = 20


def run(repeats: int) -> list[Row]:
    """Steps one by one and as the config has it against many per dispatch."""
    rows = []
    for name, module in (("digits", digits_joint), ("mnist", mnist_joint)):
        rows += _host_overhead(name, module.get_config(), repeats)
    return rows


def _host_overhead(name, config, repeats):
    """20 joint steps in so many dispatches; the largest dispatch is the device's own time."""
    config.data.num_examples = 1438
    config.train.warmup_steps = 0
    example = random_batch(config)
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
            batch=config.data.batch_size,
            against=f"{_STEPS} per dispatch + 10 %",
            ours_s=times.median(str(stride)),
            theirs_s=times.median(str(_STEPS)) / 0.9,
            ratio=times.ratio(str(_STEPS), str(stride)) / 0.9,
            goal=1.0 if stride == own else None,
        )
        for stride in strides[:-1]
    ]
