"""Rows of the benchmark tables, as markdown and JSON."""

from dataclasses import asdict, dataclass

import jax


@dataclass
class Row:
    """One comparison.

    Attributes:
      work: what is computed.
      batch: its batch size.
      against: what it is compared with.
      ours_s, theirs_s: median seconds.
      ratio: theirs / ours (median over rounds where both took turns); above 1 we are faster.
      goal: the least ratio that is good enough; None = for information.
      peak_fraction: share of the same run's matrix-product rate; None = not measured.
      peak_goal: the least such share that is good enough.
      per_second: examples per second.
      memory_mib: what the compiled program needs beside its arguments and results.
      compile_s: seconds of XLA's compilation.
      device: what it ran on.
    """

    work: str
    batch: int
    against: str
    ours_s: float
    theirs_s: float | None = None
    ratio: float | None = None
    goal: float | None = None
    peak_fraction: float | None = None
    peak_goal: float | None = None
    per_second: float | None = None
    memory_mib: float | None = None
    compile_s: float | None = None
    device: str = ""

    def __post_init__(self):
        if self.ratio is None and self.theirs_s is not None:
            self.ratio = self.theirs_s / self.ours_s
        self.device = self.device or jax.devices()[0].device_kind

    def misses(self) -> list[str]:
        """Sentences about the goals that are not reached."""
        found = []
        name = f"{self.work}, batch {self.batch}, against {self.against}"
        if self.goal is not None and not (self.ratio or 0) >= self.goal:
            found.append(f"{name}: ratio {_number(self.ratio)}, goal {self.goal}")
        if self.peak_goal is not None and not (self.peak_fraction or 0) >= self.peak_goal:
            share = _number(self.peak_fraction)
            found.append(f"{name}: {share} of the matmul peak, goal {self.peak_goal}")
        return found


_COLUMNS = {
    "work": "Work",
    "batch": "Batch",
    "against": "Against",
    "ours_s": "Ours (ms)",
    "theirs_s": "Theirs (ms)",
    "ratio": "Ratio",
    "goal": "Goal",
    "peak_fraction": "Of matmul peak",
    "peak_goal": "Goal",
    "per_second": "Examples/s",
    "memory_mib": "Memory (MiB)",
    "compile_s": "Compiling (s)",
}


def markdown(title: str, rows: list[Row]) -> str:
    """One table under a heading; columns that no row fills are left out."""
    shown = [key for key in _COLUMNS if any(getattr(row, key) is not None for row in rows)]
    lines = [
        f"### {title}",
        "",
        "| " + " | ".join(_COLUMNS[key] for key in shown) + " |",
        "|" + "|".join(":--" if key in ("work", "against") else "--:" for key in shown) + "|",
    ]
    for row in rows:
        lines.append("| " + " | ".join(_cell(key, getattr(row, key)) for key in shown) + " |")
    return "\n".join(lines) + "\n"


def as_json(rows: list[Row]) -> list[dict]:
    return [asdict(row) for row in rows]


def _cell(key, value):
    if key in ("ours_s", "theirs_s") and value is not None:
        value = 1e3 * value
    return value if isinstance(value, str) else _number(value)


def _number(value):
    return "–" if value is None else f"{value:.3g}"
