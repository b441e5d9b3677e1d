"""Folders that cannot be written, from the beginning or from the middle of a run on."""

import shutil

import pytest

from ebm_jax.checkpoint import Checkpointer
from tests.faults.commands import SMALL, Process, assert_one_sentence, complete, whole
from tests.test_train import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


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


def test_read_only_before_the_first_step(tmp_path, read_only):
    run = tmp_path / "run"
    run.mkdir()
    read_only(run)
    for workdir in (run, run / "below"):
        code, errors = Process(workdir, SMALL).end()
        assert code == 2, errors
        assert_one_sentence(errors, "cannot be written (Read-only file system)", "--workdir")
    assert list(run.iterdir()) == []


def test_read_only_in_the_middle(tmp_path, gate, read_only):
    run = tmp_path / "run"
    process = Process(run, gate.config)
    process.until(gate.reached)
    process.until((run / "checkpoints" / "30").exists)
    end = read_only(run)
    gate.open()
    code, errors = process.end()
    assert code == 2, errors
    assert_one_sentence(errors, "Read-only file system", "make the folder writable")
    end()
    assert max(Checkpointer(run, read_only=True).steps()) == 30
    output, errors = complete(run, SMALL)
    assert "resuming from step 30" in output and "cannot be read" not in errors
    assert_same_run(run, whole(SMALL))


def test_evaluation_of_a_run_on_a_read_only_disk(tmp_path, read_only):
    run = shutil.copytree(whole(SMALL), tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    read_only(run)
    code, errors = Process(
        run, SMALL, more=["--mode=eval"], eval__tasks="('reconstruction',)"
    ).end()
    assert code == 2, errors
    assert_one_sentence(errors, "cannot be written (Read-only file system)", "--workdir")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before
