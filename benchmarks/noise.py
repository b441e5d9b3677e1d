"""Suite `noise`: what a chain's random numbers cost beside the chain."""

import functools

import jax
import jax.numpy as jnp

from benchmarks.joint import prior_chain_call
from benchmarks.report import Row
from benchmarks.timing import interleaved
from ebm_jax import randomness
from ebm_jax.samplers.noise import fold_in, normal_like

_STEPS = 60


def run(repeats: int) -> list[Row]:
    """Noise of 60 steps against a tenth of the chain's time, and against `jax.random.normal`."""
    rows = []
    for batch in (100, 1000):
        keys = randomness.per_example(jax.random.key(1), jnp.arange(batch))
        zeros = (jnp.zeros((batch, 128)), jnp.zeros((batch, 100)))
        times = interleaved(
            {
                "noise": functools.partial(_summed(_drawn_here), keys, zeros),
                "jax": functools.partial(_summed(_drawn_by_jax), keys, zeros),
                "chain": prior_chain_call(batch),
            },
            repeats,
        )
        common = dict(work=f"noise of {_STEPS} steps, 128 + 100", batch=batch)
        common["ours_s"] = times.median("noise")
        rows.append(
            Row(
                **common,
                against="10 % of the prior chain",
                theirs_s=0.1 * times.median("chain"),
                ratio=0.1 * times.ratio("chain", "noise"),
                goal=1.0,
            )
        )
        rows.append(
            Row(
                **common,
                against="jax.random.normal per example",
                theirs_s=times.median("jax"),
                ratio=times.ratio("jax", "noise"),
            )
        )
    return rows


def _drawn_here(keys, zeros, k):
    return normal_like(fold_in(keys, k), zeros)


def _drawn_by_jax(keys, zeros, k):
    def one(key):
        leaf_keys = jax.random.split(jax.random.fold_in(key, k), len(zeros))
        return tuple(
            jax.random.normal(leaf_key, leaf.shape[1:])
            for leaf_key, leaf in zip(leaf_keys, zeros, strict=True)
        )

    return jax.vmap(one)(keys)


def _summed(draw):
    """The noise of all steps added up, so that none of it can be left out."""

    @jax.jit
    def run(keys, zeros):
        def body(total, k):
            return jax.tree.map(jnp.add, total, draw(keys, zeros, k)), None

        return jax.lax.scan(body, zeros, jnp.arange(_STEPS))[0]

    return run
