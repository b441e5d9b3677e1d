"""File systems that can be filled or made read-only, and gates in a run."""

import subprocess
import time

import pytest

from tests.faults.commands import Gate, Process


def mount(*arguments):
    """Whether it worked: only root may."""
    try:
        return subprocess.run(["mount", *arguments], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(autouse=True)
def no_process_left():
    """Ends what a failed test has left running."""
    yield
    while Process.started:
        Process.started.pop().kill()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 30 MB of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mount("-t", "tmpfs", "-o", "size=30m", "tmpfs", str(disk)):
        pytest.skip("only root can mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.fixture
def read_only():
    """A function that makes a folder read-only, for root too, and returns one that ends that."""
    mounted = []

    def end(folder):
        subprocess.run(["umount", "-l", str(folder)], check=True)
        mounted.remove(folder)

    def begin(folder):
        if not mount("--bind", str(folder), str(folder)):
            pytest.skip("only root can make a folder read-only for every process")
        mounted.append(folder)
        end_of_tries = time.monotonic() + 30
        while not mount("-o", "remount,bind,ro", str(folder)):  # busy while a file is being written
            assert time.monotonic() < end_of_tries, f"{folder} stayed busy for 30 s"
            time.sleep(0.02)
        return lambda: end(folder)

    yield begin
    for folder in list(mounted):
        end(folder)


@pytest.fixture
def gate(tmp_path):
    """In a run of `gate.config`, before batch 35, with checkpoints of steps 10, 20 and 30."""
    return Gate(tmp_path / "gate", 35)
