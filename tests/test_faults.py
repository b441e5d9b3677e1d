"""Real processes that are killed, stopped, starved of disk or led astray, and then run again.

Every test compares with one uninterrupted run of the same command: the exported parameters and
metrics.jsonl, but for the times, must be the same bytes.
"""

import atexit
import functools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import jax
import pytest

from configs import digits_hat
from ebm_jax import data, methods
from ebm_jax.checkpoint import Checkpointer
from ebm_jax.reporting.writers import read_metrics
from ebm_jax.training_step import init_loop_state
from tests.test_train import assert_same_run, log_of
from tests.test_training_step import assert_equal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

ROOT = Path(__file__).resolve().parent.parent
STEPS = 300
SETTINGS = {
    "train.num_steps": STEPS,
    "train.checkpoint_every": 20,
    "train.log_every": 5,
    "train.image_every": STEPS,
    "eval.tasks": "('reconstruction',)",
}


class Process:
    """A training command under way; its output is read as it comes."""

    def __init__(self, workdir, config="digits_joint", **settings):
        overrides = SETTINGS | {key.replace("__", "."): value for key, value in settings.items()}
        command = [sys.executable, "-m", "ebm_jax.main"]
        command += ["--config", f"configs/{config}.py:quick", "--workdir", str(workdir)]
        command += [f"--config.{key}={value}" for key, value in overrides.items()]
        self.workdir = Path(workdir)
        self.output, self.errors = [], []
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.readers = [
            threading.Thread(target=lines.extend, args=(stream,))
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

    def end(self):
        """(exit code, standard error)."""
        code = self.process.wait(timeout=150)
        for reader in self.readers:
            reader.join()
        return code, "".join(self.errors)


def complete(workdir, config="digits_joint", **settings):
    """Runs the command to its end and returns what it printed."""
    process = Process(workdir, config, **settings)
    code, errors = process.end()
    assert code == 0, errors
    return "".join(process.output), errors


def assert_one_sentence(errors, *parts):
    assert "Traceback" not in errors
    found = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(found) == 1, errors
    for part in parts:
        assert part in found[0]


@functools.cache
def whole():
    """The workdir of the uninterrupted run; copy before writing."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    complete(folder)
    return folder


def test_killed_at_three_random_moments(tmp_path):
    rng = random.Random(0)
    for low in (20, 100, 190):
        process = Process(tmp_path)
        process.until_step(rng.randint(low, low + 80))
        time.sleep(rng.uniform(0, 0.2))
        process.process.send_signal(signal.SIGKILL)
        assert process.end()[0] == -signal.SIGKILL
    output, _ = complete(tmp_path)
    assert "resuming from step" in output
    assert_same_run(tmp_path, whole())
    assert len({row["step"] for row in log_of(tmp_path)}) == len(log_of(tmp_path)) == STEPS // 5


def last_state(workdir, module):
    """The newest checkpoint of a `:quick` run on digits."""
    c = module.get_config("quick")
    dataset = data.open_dataset(c.data, "train")
    c.data.num_examples = dataset.num_examples
    batch = data.make_batch(dataset, c.data, 0, 0)
    like = jax.device_get(init_loop_state(methods.build(c), batch, jax.random.key(c.seed)))
    return Checkpointer(workdir, read_only=True).restore(like)


def test_killed_run_with_a_bank_ends_with_its_bytes(tmp_path):
    """Hat EBM's: pairs of many steps ago are part of what the next step does."""
    settings = dict(config="digits_hat", train__num_steps=120, eval__tasks="('residual',)")
    complete(tmp_path / "whole", **settings)
    process = Process(tmp_path / "killed", **settings)
    process.until_step(random.Random(3).randint(45, 90))
    process.process.send_signal(signal.SIGKILL)
    assert process.end()[0] == -signal.SIGKILL
    output, _ = complete(tmp_path / "killed", **settings)
    assert "resuming from step" in output
    assert_same_run(tmp_path / "killed", tmp_path / "whole")
    (step, killed), (_, uninterrupted) = (
        last_state(tmp_path / name, digits_hat) for name in ("killed", "whole")
    )
    assert step == 120 and killed.train.extra["training"]["bank"].x.shape[0] == 200
    assert_equal(killed, uninterrupted)


def test_stopped_while_training(tmp_path):
    process = Process(tmp_path)
    process.until_step(random.Random(1).randint(20, 200))
    process.process.terminate()
    code, errors = process.end()
    assert code == 75
    assert_one_sentence(errors, "SIGTERM received: step ", "run the same command again to go on")
    assert not (tmp_path / "export").exists()
    complete(tmp_path)
    assert_same_run(tmp_path, whole())


def test_stopped_while_evaluating(tmp_path):
    shutil.copytree(whole(), tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "eval")
    settings = {
        "eval__tasks": "('reconstruction','chains')",
        "eval__long_chain_samples": 1000,
        "eval__batch_size": 10,
    }
    process = Process(tmp_path, **settings)
    process.until_printed("evaluating chains")
    process.process.terminate()
    code, errors = process.end()
    assert code == 75
    assert_one_sentence(
        errors, "SIGTERM received during the evaluation; finished tasks and chunks are kept"
    )
    assert {path.name for path in (tmp_path / "eval").glob("*.json")} == {"reconstruction.json"}
    output, _ = complete(tmp_path, **settings)
    assert "evaluating chains" in output and "evaluating reconstruction" not in output
    assert (tmp_path / "eval" / "chains.json").exists()


@pytest.mark.parametrize(
    "pattern, damage",
    [
        ("state/ocdbt.process_0/d/*", lambda path: os.truncate(path, path.stat().st_size // 2)),
        ("shapes/metadata", lambda path: os.truncate(path, 0)),
        ("state/manifest.ocdbt", lambda path: path.unlink()),
    ],
    ids=["truncated", "emptied", "removed"],
)
def test_damaged_newest_checkpoint(tmp_path, pattern, damage):
    shutil.copytree(whole(), tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "export")
    for file in (tmp_path / "checkpoints" / str(STEPS)).glob(pattern):
        damage(file)
    output, errors = complete(tmp_path)
    assert f"warning: the checkpoint of step {STEPS} " in errors
    assert "Traceback" not in errors
    assert f"resuming from step {STEPS - 20} of {STEPS}" in output
    assert_same_run(tmp_path, whole())


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 30 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=30m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def fill(path):
    with open(path, "wb", buffering=0) as stream:
        for size in (2**16, 2**12, 1):
            try:
                while True:
                    stream.write(b"x" * size)
            except OSError:
                continue


def test_full_disk(small_disk):
    process = Process(small_disk / "run")
    process.until_step(60)
    fill(small_disk / "filler")
    code, errors = process.end()
    assert code == 2, errors
    assert_one_sentence(errors, "No space left on device", "free some space", "same command again")
    steps = Checkpointer(small_disk / "run", read_only=True).steps()
    assert steps and max(steps) >= 20
    (small_disk / "filler").unlink()
    output, errors = complete(small_disk / "run")
    assert f"resuming from step {max(steps)}" in output
    assert "cannot be read" not in errors
    assert_same_run(small_disk / "run", whole())


def test_diverged_beyond_recovery(tmp_path):
    """An absurd learning rate of the energies, from the first step on."""
    process = Process(
        tmp_path,
        train__warmup_steps=10,
        optim__energy__joint_learning_rate=1e6,
        stability__max_skipped=10,
        stability__energy_backoff=0.9,
    )
    code, errors = process.end()
    assert code == 4, errors
    assert_one_sentence(
        errors, "training diverged at step ", "after 3 roll-backs", "lower joint_learning_rate"
    )
    for number in (1, 2, 3):
        assert f"(roll-back {number} of 3)" in errors
    assert max(row["train/skipped"] for row in read_metrics(tmp_path)) >= 10
    output, errors = complete(tmp_path, train__num_steps=5)
    assert "cannot be read" not in errors  # the good checkpoint serves a tamer run
