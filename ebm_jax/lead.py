"""How far the host runs ahead of the devices.

JAX dispatches steps without waiting for them. Unbounded, the host would run ahead to the next line
of the log, and a signal that asks to stop would be answered when all of these steps are done, long
after a preempted machine is gone.
"""

import time
from typing import Any

import jax

SECONDS = 0.5  # of dispatched work, by the time that dispatches took since the last wait


class Lead:
    """Called after every dispatch, waits for the first and then about every `SECONDS`.

    When dispatches become slower, the next two waits are longer: how many are dispatched before the
    first was planned at the old pace, before the second at a mean of both.
    """

    def __init__(self):
        self._allowed = 1  # dispatches
        self._ahead = 0
        self._met: float | None = None  # when host and devices were last at the same step

    def __call__(self, state: Any) -> None:
        """Waits for the last dispatch's result, if the host is far enough ahead.

        Args:
          state: that result, or a part of it.
        """
        self._ahead += 1
        if self._ahead < self._allowed:
            return
        jax.block_until_ready(state)
        now = time.monotonic()
        if self._met is not None:
            each = max((now - self._met) / self._ahead, 1e-6)
            self._allowed = max(1, min(2 * self._allowed, int(SECONDS / each)))
        self._met, self._ahead = now, 0
