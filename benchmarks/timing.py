"""Times of alternatives that take turns, so that what else the machine does hits all of them."""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np


class Times(NamedTuple):
    """Seconds of every call, in order: {name: [repeats]}."""

    seconds: dict[str, np.ndarray]

    def median(self, name: str) -> float:
        return float(np.median(self.seconds[name]))

    def best(self, name: str) -> float:
        return float(np.min(self.seconds[name]))

    def ratio(self, name: str, to: str) -> float:
        """Median over rounds of the time of `name` / the time of `to` in the same round."""
        return float(np.median(self.seconds[name] / self.seconds[to]))


def interleaved(calls: dict[str, Callable[[], object]], repeats: int) -> Times:
    """Calls every alternative in turn, `repeats` rounds after one that does not count.

    Args:
      calls: {name: function}; what it returns is waited for.
      repeats: rounds.
    """
    for call in calls.values():
        jax.block_until_ready(call())
    seconds = {name: [] for name in calls}
    names = list(calls)
    for round_ in range(repeats):
        shift = round_ % len(names)  # nobody always runs behind the same neighbour
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            jax.block_until_ready(calls[name]())
            seconds[name].append(time.perf_counter() - start)
    return Times({name: np.asarray(values) for name, values in seconds.items()})
