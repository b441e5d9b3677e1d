"""Suite `samplers`: one energy of 228 inputs and 3 × 200 units, beside torchebm and blackjax."""

import jax
import jax.numpy as jnp

from benchmarks.report import Row
from benchmarks.timing import interleaved
from ebm_jax import randomness
from ebm_jax.nn.mlp import MLP
from ebm_jax.samplers import langevin, mala, run_chain

_DIMENSIONS, _HIDDEN, _STEPS, _STEP_SIZE = 228, (200, 200, 200), 60, 0.1


def run(repeats: int) -> list[Row]:
    """Langevin against torchebm's, MALA against blackjax's, at 100 and 1000 chains."""
    net = MLP(_HIDDEN, 1)
    params = net.init(jax.random.key(0), jnp.zeros((1, _DIMENSIONS)))["params"]

    def log_prob(params, x):  # one chain [D] or a batch [B, D]
        values = net.apply({"params": params}, x.reshape(-1, _DIMENSIONS))[:, 0]
        return values.reshape(x.shape[:-1]) - 0.5 * jnp.sum(x**2, axis=-1)

    rows = []
    for batch, goal in ((100, 1.4), (1000, 1.1)):
        start = jax.random.normal(jax.random.key(1), (batch, _DIMENSIONS))
        keys = randomness.per_example(jax.random.key(2), jnp.arange(batch))

        def chain(kernel, keys=keys, start=start):
            def go(params):
                target = kernel(lambda x: log_prob(params, x), _STEP_SIZE)
                return run_chain(target, keys, start, _STEPS).position

            compiled = jax.jit(go)
            return lambda: compiled(params)

        work = f"{_STEPS} steps, energy {_DIMENSIONS} → 3 × 200 → 1"
        theirs = _torchebm(params, start)
        if theirs is not None:
            times = interleaved({"ours": chain(langevin), "theirs": theirs}, repeats)
            rows.append(_row(f"Langevin, {work}", batch, "torchebm", times, goal))
        theirs = _blackjax(lambda x: log_prob(params, x), start)
        if theirs is not None:
            times = interleaved({"ours": chain(mala), "theirs": theirs}, repeats)
            rows.append(_row(f"MALA, {work}", batch, "blackjax", times, 1.0))
    return rows


def _row(work, batch, against, times, goal):
    return Row(
        work=work,
        batch=batch,
        against=against,
        ours_s=times.median("ours"),
        theirs_s=times.median("theirs"),
        ratio=times.ratio("theirs", "ours"),
        goal=goal,
    )


def _blackjax(log_prob, start):
    try:
        import blackjax
    except ImportError:
        return None
    kernel = blackjax.mala(log_prob, _STEP_SIZE**2 / 2)  # its step is our s² / 2

    def one(key, position):
        def body(state, key):
            return kernel.step(key, state)[0], None

        return jax.lax.scan(body, kernel.init(position), jax.random.split(key, _STEPS))[0].position

    compiled = jax.jit(jax.vmap(one))
    keys = jax.random.split(jax.random.key(3), start.shape[0])
    return lambda: compiled(keys, start)


def _torchebm(params, start):
    try:
        import numpy as np
        import torch
        from torchebm.core import BaseModel
        from torchebm.samplers import LangevinDynamics

        from benchmarks import torch_twins
    except ImportError:
        return None

    class Target(BaseModel):
        def __init__(self):
            super().__init__()
            self.net = torch_twins.mlp((_DIMENSIONS, *_HIDDEN, 1))
            torch_twins.load_dense(self.net, params)

        def forward(self, x):
            return 0.5 * x.square().sum(1) - self.net(x)[:, 0]

    sampler = LangevinDynamics(Target(), step_size=_STEP_SIZE**2 / 2)
    x = torch.tensor(np.array(start))
    return lambda: sampler.sample(x=x, n_steps=_STEPS).detach().numpy()
