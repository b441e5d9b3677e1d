"""SIGTERM and SIGINT as a flag the loop polls, so that a run stops between two steps."""

import signal
from types import FrameType

import jax


class Preemption:
    """Context in which the first SIGTERM or SIGINT only sets a flag; a second one acts at once."""

    def __init__(self):
        self._signal: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> "Preemption":
        if jax.process_count() > 1:  # JAX watches for SIGTERM itself and tells all processes
            return self
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._signal = number
        for each in self._previous:
            signal.signal(each, signal.SIG_DFL)

    @property
    def requested(self) -> str | None:
        """The received signal's name, or None."""
        return None if self._signal is None else signal.Signals(self._signal).name
