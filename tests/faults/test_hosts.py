"""One of two hosts dies: the other ends with a sentence, and both go on together.

The hosts are two processes that JAX joins over TCP.
"""

import re
import signal
import socket
import time

import pytest

from ebm_jax.checkpoint import Checkpointer
from tests.fake_devices import xla_flags
from tests.faults.commands import SMALL, Gate, Process, assert_one_sentence
from tests.test_train import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

SECONDS = 60  # in which a process must notice that the other is gone


def start(workdir, configs=(SMALL, SMALL), **settings):
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    return [
        Process(
            workdir,
            config,
            environment={
                "XLA_FLAGS": xla_flags(1),
                "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": str(number),
            },
            **settings,
        )
        for number, config in enumerate(configs)
    ]


def complete(workdir, **settings):
    """Runs both to the end and returns what process 0 printed."""
    processes = start(workdir, **settings)
    for code, errors in [process.end() for process in processes]:
        assert code == 0, errors
    return "".join(processes[0].output)


def kill(workdir, gate, victim):
    """One of both is killed while the other waits for it in the middle of a step."""
    configs = [SMALL, SMALL]
    configs[victim] = gate.config
    processes = start(workdir, configs)
    processes[victim].until(gate.reached)
    time.sleep(0.5)
    processes[victim].process.send_signal(signal.SIGKILL)
    assert processes[victim].end()[0] == -signal.SIGKILL
    began = time.monotonic()
    code, errors = processes[1 - victim].end(2 * SECONDS)
    assert time.monotonic() - began < SECONDS
    assert code == 2, errors
    assert_one_sentence(errors, "another of the 2 processes", "ended", "with the same command")


def test_each_host_dies_once_and_comes_back(tmp_path):
    run = tmp_path / "run"
    kill(run, Gate(tmp_path / "first", 25), 1)
    assert max(Checkpointer(run, read_only=True).steps()) == 20
    kill(run, Gate(tmp_path / "second", 45), 0)
    assert "resuming from step 40" in complete(run)
    complete(tmp_path / "undisturbed")
    assert_same_run(run, tmp_path / "undisturbed")


def test_host_that_fails_alone_ends_the_other(tmp_path):
    """With its own sentence and code, though the other waits for it."""
    (tmp_path / "file").write_text("in the way of process 0 alone")
    failing, waiting = start(tmp_path / "file")
    code, errors = failing.end(2 * SECONDS)
    assert code == 2, errors
    assert_one_sentence(errors, "it is a file")
    code, errors = waiting.end(2 * SECONDS)
    assert code == 2, errors
    assert_one_sentence(errors, "another of the 2 processes")


def test_a_signal_to_one_stops_both_at_the_same_step(tmp_path):
    """With several steps in a dispatch: they agree on a dispatch."""
    processes = start(
        tmp_path / "run", train__steps_per_dispatch=5, train__num_steps=100_000, train__log_every=10
    )
    processes[1].until_step(20)
    processes[1].process.terminate()
    stopped = set()
    for process in processes:
        code, errors = process.end(SECONDS)
        assert code == 75, errors
        assert_one_sentence(errors, "SIGTERM received: step ", "is saved")
        stopped.add(int(re.search(r"step (\d+) is saved", errors)[1]))
    assert stopped == {max(Checkpointer(tmp_path / "run", read_only=True).steps())}
    assert min(stopped) >= 20
