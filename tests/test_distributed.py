"""One global batch on 1 device, on 8 and on 2 processes: the same run, to float error."""

import functools
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import flax.serialization
import jax
import numpy as np
import pytest

from tests.fake_devices import xla_flags

ROOT = Path(__file__).resolve().parent.parent
RUN = [
    "--config=configs/digits_joint.py:quick",
    "--config.data.batch_size=16",
    "--config.train.num_steps=4",
    "--config.train.warmup_steps=1",
    "--config.train.log_every=2",
    "--config.train.checkpoint_every=2",
    "--config.train.image_every=4",
    "--config.train.ema_decay=0.0",  # so that the export holds the last parameters
    "--config.model.energy.zero_init=False",
    "--config.eval.tasks=('reconstruction',)",
    "--config.sample.num_images=24",
    # Adam hides a gradient that is off by a factor; SGD does not.
    *(f"--config.optim.{g}.algorithm=sgd" for g in ("generator", "inference", "prior", "energy")),
]


def launch(workdir, devices, *more, environment=None):
    """A process of the command line on so many CPU devices."""
    variables = {
        **os.environ,
        "XLA_FLAGS": xla_flags(devices),
        "JAX_PLATFORMS": "cpu",
        **(environment or {}),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "ebm_jax.main", f"--workdir={workdir}", *RUN, *more],
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process):
    try:
        output, _ = process.communicate(timeout=500)
    finally:
        process.kill()
    return process.returncode, output


def run(workdir, devices, *more):
    code, output = finish(launch(workdir, devices, *more))
    assert code == 0, output


def ends_of_two_processes(workdir, *more):
    """(exit code, output) of each."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    processes = [
        launch(
            workdir,
            1,
            *more,
            environment={
                "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
                "JAX_NUM_PROCESSES": "2",
                "JAX_PROCESS_ID": str(number),
            },
        )
        for number in range(2)
    ]
    try:
        return [finish(process) for process in processes]
    finally:
        for process in processes:
            process.kill()


def run_two_processes(workdir, *more):
    ends = ends_of_two_processes(workdir, *more)
    for code, output in ends:
        assert code == 0, output
    return [output for _, output in ends]


def parameters(workdir):
    raw = (workdir / "export" / "params.msgpack").read_bytes()
    return flax.serialization.msgpack_restore(raw)["params"]


def assert_same_run(a, b):
    close = functools.partial(np.testing.assert_allclose, rtol=0, atol=1e-5)
    jax.tree.map(close, parameters(a), parameters(b))
    first, second = (np.load(w / "samples" / "samples.npz")["images"].astype(int) for w in (a, b))
    assert first.shape == (24, 8, 8, 1)
    assert np.abs(first - second).max() <= 1  # grey values out of 256, at a rounding edge


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("one")
    run(workdir, 1)
    run(workdir, 1, "--mode=sample")
    return workdir


@pytest.mark.slow
def test_eight_devices(one_device, tmp_path):
    run(tmp_path, 8)
    run(tmp_path, 8, "--mode=sample")
    assert_same_run(one_device, tmp_path)


@pytest.mark.slow
def test_two_processes(one_device, tmp_path):
    outputs = run_two_processes(tmp_path)
    assert "report" in outputs[0] and "report" not in outputs[1]
    again = run_two_processes(tmp_path)  # finished: its numbers are shown once more
    assert "report" in again[0] and "report" not in again[1]
    run_two_processes(tmp_path, "--mode=sample")
    assert_same_run(one_device, tmp_path)
    assert (tmp_path / "report.html").exists()
    shutil.rmtree(tmp_path / "checkpoints")
    (code, told), (other, heard) = ends_of_two_processes(tmp_path)
    assert code == other == 2
    assert "holds the results of a run, and no checkpoint" in told
    assert "error: process 0 could not begin the run; see its message." in heard


@pytest.mark.slow
@pytest.mark.parametrize("before, after", [(8, 1), (1, 8)])
def test_resume_on_another_number_of_devices(one_device, tmp_path, before, after):
    run(tmp_path, before, "--config.train.num_steps=2", "--config.train.image_every=2")
    run(tmp_path, after)
    run(tmp_path, after, "--mode=sample")
    assert_same_run(one_device, tmp_path)
