"""The command line as real processes, and what is said of how they end."""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from ebm_jax.reporting.writers import read_metrics

ROOT = Path(__file__).resolve().parents[2]
QUICK = "configs/digits_joint.py:quick"
SMALL = "tests/faults/experiment.py"
STEPS = 300
SMALL_STEPS = 60
SETTINGS = {  # of the configs in configs/
    "train.num_steps": STEPS,
    "train.checkpoint_every": 20,
    "train.log_every": 5,
    "train.image_every": STEPS,
    "eval.tasks": "('reconstruction',)",
}


class Process:
    """A command under way; its output is read as it comes. It is killed when its test ends.

    Args:
      workdir: the run's folder.
      config: the file of an experiment; SMALL has its own settings, others SETTINGS.
      more: further arguments.
      environment: further variables.
      **settings: values of the config, with `__` for the dots of their names.
    """

    started = []

    def __init__(self, workdir, config=QUICK, more=(), environment=None, **settings):
        given = {key.replace("__", "."): value for key, value in settings.items()}
        overrides = ({} if config.startswith(SMALL) else SETTINGS) | given
        command = [sys.executable, "-m", "ebm_jax.main"]
        command += [f"--config={config}", f"--workdir={workdir}", *more]
        command += [f"--config.{key}={value}" for key, value in overrides.items()]
        self.workdir = Path(workdir)
        self.output, self.errors = [], []
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(self.process)
        self.readers = [
            threading.Thread(target=lines.extend, args=(stream,), daemon=True)
            for lines, stream in (
                (self.output, self.process.stdout),
                (self.errors, self.process.stderr),
            )
        ]
        for reader in self.readers:
            reader.start()

    def until(self, condition):
        """Waits for condition() while the process runs."""
        deadline = time.monotonic() + 240
        while not condition():
            assert self.process.poll() is None, "".join(self.errors)
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def until_step(self, step):
        self.until(lambda: any(row["step"] >= step for row in read_metrics(self.workdir)))

    def until_printed(self, text):
        self.until(lambda: any(text in line for line in list(self.output)))

    def end(self, seconds=150):
        """(exit code, standard error)."""
        try:
            code = self.process.wait(timeout=seconds)
        except BaseException:
            self.process.kill()
            raise
        finally:
            for reader in self.readers:
                reader.join()
        return code, "".join(self.errors)


def complete(workdir, config=QUICK, **options):
    """Runs the command to its end and returns what it printed."""
    process = Process(workdir, config, **options)
    code, errors = process.end()
    assert code == 0, errors
    return "".join(process.output), errors


def assert_one_sentence(errors, *parts):
    assert "Traceback" not in errors, errors
    found = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(found) == 1, errors
    for part in parts:
        assert part in found[0], errors


@functools.cache
def whole(config=QUICK):
    """The workdir of the uninterrupted run; copy before writing."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    complete(folder, config)
    return folder


class Gate:
    """Where a run of SMALL stops before a batch, until the gate is opened."""

    def __init__(self, folder, step):
        self._folder = folder
        self._folder.mkdir()
        self.config = f"{SMALL}:gate={step}@{folder}"

    def reached(self):
        return (self._folder / "waiting").exists()

    def open(self):
        (self._folder / "open").touch()
