"""Metrics of a run: JSON lines as the record, TensorBoard event files as their mirror."""

import json
import math
import os
import time
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.files import write_text
from ebm_jax.reporting.grids import save_png

METRICS_FILE = "metrics.jsonl"


def read_metrics(workdir: str | os.PathLike) -> list[dict]:
    """Reads `metrics.jsonl`.

    Args:
      workdir: the run's folder.

    Returns:
      One dict per line, in the order written, each with an int `step`; null stays None. No file
      gives an empty list. Lines that are no such JSON are skipped (a run killed while writing
      leaves half a line), and so are values that are neither numbers nor null.
    """
    path = Path(workdir) / METRICS_FILE
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict) and _is_step(row.get("step")):
            rows.append({name: value for name, value in row.items() if _is_metric(value)})
    return rows


def _is_step(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_metric(value) -> bool:
    """Whether `MetricWriter` writes such values."""
    if isinstance(value, int):
        return abs(value) < 2**63
    return value is None or isinstance(value, float)


def _number(name: str, value) -> float | int | bool | None:
    """A metric as a JSON number: NaN and infinities are None."""
    if value is None or isinstance(value, bool):
        return value
    try:
        array = np.asarray(value)
        number = int(array.item()) if array.dtype.kind in "iu" else float(array.item())
    except (TypeError, ValueError):
        raise ConfigError(
            f"Metric '{name}' is {type(value).__name__} of shape {np.shape(value)}; "
            "write one number per name."
        ) from None
    return number if math.isfinite(number) else None


class MetricWriter:
    """Writes a run's metrics and images; one per workdir, on one process.

    Args:
      workdir: the run's folder, made when needed.
      resume_step: the step of the checkpoint that training goes on from: what was logged after it
        is dropped, since the same steps will be logged again. Pass -1 when training starts from
        nothing. None keeps all that was logged.
    """

    def __init__(self, workdir: str | os.PathLike, resume_step: int | None = None):
        self.workdir = Path(workdir)
        self.workdir.mkdir(parents=True, exist_ok=True)
        self._drop_after(resume_step)
        self._stream = open(  # noqa: SIM115 - closed by close()
            self.workdir / METRICS_FILE, "a", encoding="utf-8"
        )
        folder = self.workdir / "tensorboard"
        folder.mkdir(exist_ok=True)
        # Not SummaryWriter: its thread dies on a full disk and then the next write waits for ever.
        # Event files are named by the second; a quick restart must not overwrite the last.
        self._tensorboard = EventsWriter(str(folder / "events"), f".{uuid.uuid4().hex[:8]}")
        if resume_step is not None:
            # TensorBoard discards events at this step itself, and the checkpoint's step stays.
            start = SessionLog(status=SessionLog.START)
            self._tensorboard.write_event(Event(step=resume_step + 1, session_log=start))

    def _mirror(self, step: int, content: Summary) -> None:
        event = Event(wall_time=time.time(), step=int(step), summary=content)
        self._tensorboard.write_event(event)

    def _drop_after(self, resume_step: int | None) -> None:
        """Rewrites metrics.jsonl without lines after `resume_step` and without torn lines."""
        path = self.workdir / METRICS_FILE
        if not path.exists():
            return
        rows = read_metrics(self.workdir)
        if resume_step is not None:
            rows = [row for row in rows if row["step"] <= resume_step]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if text != path.read_text(encoding="utf-8", errors="replace"):
            write_text(path, text)

    def write_scalars(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line and flushes it.

        Args:
          step: the training step that the metrics belong to.
          metrics: name → one number: a Python, numpy or jax scalar; NaN and infinities become null.

        Raises:
          ConfigError: a value is no single number, or a name is `step`.
        """
        if "step" in metrics:
            raise ConfigError("A metric is named 'step', which is the line's own key; rename it.")
        numbers = {name: _number(name, value) for name, value in metrics.items()}
        self._stream.write(json.dumps({"step": int(step), **numbers}, allow_nan=False) + "\n")
        self._stream.flush()
        for name, number in numbers.items():
            if number is not None:
                self._mirror(step, summary.scalar(name, float(number)))

    def write_images(self, step: int, images: Mapping[str, np.ndarray]) -> None:
        """Saves grids as `samples/<name>_<step, 8 digits>.png` and mirrors them.

        Args:
          step: the training step that made them.
          images: name → [H, W, 3] uint8, as the functions of `grids` return.
        """
        for name, pixels in images.items():
            save_png(self.workdir / "samples" / f"{name}_{int(step):08d}.png", pixels)
            self._mirror(step, summary.image(f"samples/{name}", pixels, dataformats="HWC"))

    def flush(self) -> None:
        """Puts everything on disk: call it where a checkpoint is saved."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        self._tensorboard.flush()

    def close(self) -> None:
        """Flushes and closes; a second call does nothing."""
        if not self._stream.closed:
            self.flush()
            self._stream.close()
            self._tensorboard.close()

    def __enter__(self) -> "MetricWriter":
        return self

    def __exit__(self, *_) -> None:
        self.close()
