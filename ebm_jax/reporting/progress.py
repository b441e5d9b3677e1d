"""Progress on the terminal: rate, throughput and time left."""

import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

MEMORY = 60.0  # seconds after which a past rate counts 1/e: compilation is forgotten in minutes


def human_time(seconds: float) -> str:
    """A duration to read: `45s`, `3m 20s`, `1h 02m`, `2d 03h`; `--` when unknown."""
    if not math.isfinite(seconds) or seconds < 0:
        return "--"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    minutes = round(whole / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60}h {minutes % 60:02d}m"
    hours = round(minutes / 60)
    return f"{hours // 24}d {hours % 24:02d}h"


def _short(number: float) -> str:
    """Three digits, without an exponent for what is a thousand or more."""
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


class Progress:
    """Reports progress towards `total`.

    The rate counts only the steps of this process, so that a resumed run shows the speed it has
    and not the one of a run that did `start` steps in no time.

    Args:
      total: the count at which the work is done.
      start: the count already done when this process began.
      stream: where to write, standard error by default: a terminal gets one line that overwrites
        itself, anything else a plain line per call.
      unit: what is counted.
      batch_size: examples per unit, to show examples/s.
      light_until: the count up to which units take less time than later ones, so that the time left
        is a lower bound; the rate then begins anew. Negative: there are no such units.
      clock: returns seconds; for tests.
    """

    def __init__(
        self,
        total: int,
        start: int = 0,
        stream: TextIO | None = None,
        unit: str = "step",
        batch_size: int | None = None,
        light_until: int = -1,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.total = total
        self.unit = unit
        self.batch_size = batch_size
        self._light_until = light_until
        self._stream = sys.stderr if stream is None else stream
        self._terminal = bool(getattr(self._stream, "isatty", lambda: False)())
        self._clock = clock
        self._last_time = clock()
        self._step = start
        self._steps = self._seconds = 0.0  # both decayed: their ratio is the smoothed rate
        self._line_open = False

    @property
    def rate(self) -> float:
        """Units per second, smoothed; NaN before the first step of this process."""
        return self._steps / self._seconds if self._steps > 0 and self._seconds > 0 else math.nan

    @property
    def eta_seconds(self) -> float:
        """Seconds left at the present rate; NaN while that is unknown."""
        return max(self.total - self._step, 0) / self.rate

    @property
    def examples_per_second(self) -> float:
        """Throughput; NaN while unknown or without a batch size."""
        return self.rate * (self.batch_size or math.nan)

    def update(self, step: int, metrics: Mapping[str, float] | None = None) -> None:
        """Reports that `step` units are done.

        Args:
          step: the count, `start` included; may fall back when training does.
          metrics: numbers to show at the line's end, in this order.
        """
        now = self._clock()
        seconds, steps = now - self._last_time, step - self._step
        if steps < 0:
            self._steps = self._seconds = 0.0
        else:
            heavier = self._step <= self._light_until < step
            keep = 0.0 if heavier else math.exp(-seconds / MEMORY)
            self._steps = self._steps * keep + steps
            self._seconds = self._seconds * keep + seconds
        self._last_time, self._step = now, step
        self._write(self._line(metrics or {}))

    def _line(self, metrics: Mapping[str, float]) -> str:
        parts = [f"{self.unit} {self._step}/{self.total}"]
        if self.total > 0:
            parts.append(f"{100 * self._step / self.total:.1f}%")
        if math.isfinite(self.rate):
            if self.rate >= 1:
                parts.append(f"{_short(self.rate)} {self.unit}s/s")
            else:
                parts.append(f"{_short(1 / self.rate)} s/{self.unit}")
            if self.batch_size:
                parts.append(f"{self.examples_per_second:.0f} examples/s")
            bound = "over " if self._step <= self._light_until else ""
            parts.append(f"ETA {bound}{human_time(self.eta_seconds)}")
        parts += [
            f"{name} {float(value):.4g}" for name, value in metrics.items() if value is not None
        ]
        return "  ".join(parts)

    def _write(self, line: str) -> None:
        if self._terminal:
            # A wrapped line could not be overwritten, hence the cut at the terminal's width.
            width = shutil.get_terminal_size().columns - 1
            self._stream.write("\r" + line[:width] + "\x1b[K")
            self._line_open = True
        else:
            self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Leaves the last line standing; a second call does nothing."""
        if self._line_open:
            self._stream.write("\n")
            self._stream.flush()
            self._line_open = False
