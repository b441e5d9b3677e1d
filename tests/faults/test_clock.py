"""The wall clock is set back and forward while a run is under way."""

import pytest

from ebm_jax.reporting.writers import read_metrics
from tests.faults.commands import SMALL, Process, whole
from tests.test_train import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

# Python imports this by itself when it starts. Seconds in a file are added to the time of day.
CLOCK = """
import os, time

def shifted(clock, unit):
    def now():
        with open(os.environ["SHIFT"]) as file:
            return clock() + unit * int(file.read() or 0)
    return now

time.time, time.time_ns = shifted(time.time, 1), shifted(time.time_ns, 10**9)
"""
YEAR = 365 * 24 * 3600


def test_clock_set_back_and_forward(tmp_path, gate):
    (tmp_path / "sitecustomize.py").write_text(CLOCK)
    shift, run = tmp_path / "shift", tmp_path / "run"
    shift.write_text("0")
    environment = {"PYTHONPATH": str(tmp_path), "SHIFT": str(shift)}
    process = Process(run, gate.config, environment=environment)
    process.until(gate.reached)
    shift.write_text(str(-YEAR))
    gate.open()
    process.until_step(45)
    shift.write_text(str(10 * YEAR))
    code, errors = process.end()
    assert code == 0, errors
    assert_same_run(run, whole(SMALL))
    rows = read_metrics(run)
    minutes = [row["time/elapsed_minutes"] for row in rows]
    assert minutes == sorted(minutes) and minutes[0] > 0 and minutes[-1] < 60
    assert all(0 < row["time/steps_per_second"] < 1e6 for row in rows)
    progress = [line for line in process.output if " ETA " in line]
    assert len(progress) > 5
    # A pause of a year would make hours of what is left; set back, the time left would be `--`.
    assert not [line for line in progress if "ETA --" in line or "h " in line.split("ETA")[1][:9]]
