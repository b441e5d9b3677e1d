"""A run under a real Slurm: two processes, preempted, queued again by the job and finished.

Slurm and munge are started here, with a configuration of their own, and stopped by their pids.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.fake_devices import xla_flags

ROOT = Path(__file__).resolve().parent.parent
MISSING = [name for name in ("sbatch", "slurmctld", "slurmd", "munged") if not shutil.which(name)]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("slurm"),  # one cluster at a time
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="slurmd wants to be root"),
    pytest.mark.skipif(not (ROOT / ".venv").exists(), reason="the job uses .venv"),
]
NODES = (socket.gethostname(), f"{socket.gethostname()}-second")  # the first leads to this machine
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2
NodeName={nodes[0]} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName={nodes[1]} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=all Nodes=ALL Default=YES MaxTime=60
"""


def free_ports(count):
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def wait_for(what, condition, seconds, show):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, f"{what} did not come within {seconds} s\n{show()}"
        time.sleep(0.3)
    return found


def begin(answer, job):
    """Ends a requeued job's wait: two minutes, so that its nodes take it for a new one.

    They go by the second of its credential, so it must not be that in which they ended the last.
    """
    answer("scontrol", "update", f"JobId={job}", "StartTime=now+3seconds")


@pytest.fixture
def slurm(tmp_path):
    """The environment in which sbatch finds a cluster of two nodes, ready for jobs."""
    (tmp_path / "state").mkdir()
    key = tmp_path / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    conf = tmp_path / "slurm.conf"
    host = socket.gethostname()
    conf.write_text(CONFIG.format(folder=tmp_path, host=host, nodes=NODES, ports=free_ports(3)))
    environment = {**os.environ, "SLURM_CONF": str(conf), "XLA_FLAGS": xla_flags(1)}
    munge = {f"--{name}-file": tmp_path / f"munge.{name}" for name in ("key", "pid", "log", "seed")}
    daemons = [
        ["munged", "--foreground", "--force", f"--socket={tmp_path}/munge.socket"]
        + [f"{option}={path}" for option, path in munge.items()],
        ["slurmctld", "-D", "-f", str(conf)],
        *(["slurmd", "-D", "-f", str(conf), "-N", node] for node in NODES),
    ]
    log = tmp_path / "daemons.log"

    def answer(*command):
        return subprocess.run(command, env=environment, capture_output=True, text=True).stdout

    with contextlib.ExitStack() as stack:
        output = stack.enter_context(log.open("w"))
        for command in daemons:
            process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            if command[0] == "munged":
                wait_for("munge", (tmp_path / "munge.socket").exists, 20, log.read_text)
        idle = lambda: answer("sinfo", "-h", "-o", "%D %t").split() == ["2", "idle"]  # noqa: E731
        wait_for("the cluster", idle, 40, log.read_text)
        yield environment, answer, log
        if answer("squeue", "-h"):  # of a test that failed: its processes would stay
            answer("scancel", "--user=root")
            wait_for("an empty queue", lambda: not answer("squeue", "-h"), 60, log.read_text)


def test_preempted_and_finished(slurm, tmp_path):
    environment, answer, log = slurm
    workdir, output = tmp_path / "run", tmp_path / "job.log"
    submitted = subprocess.run(
        [
            *("launch/slurm.sh", "--nodes=2", f"--workdir={workdir}"),
            "--config=configs/digits_joint.py:quick",
            f"--sbatch=--parsable --output={output}",
            "--",
            "--config.data.batch_size=16",
            "--config.train.num_steps=120",
            "--config.train.log_every=5",
            "--config.train.checkpoint_every=120",
            "--config.train.image_every=120",
            "--config.eval.tasks=('reconstruction',)",
            "--config.eval.num_samples=24",
        ],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()

    def said():
        return output.read_text() if output.exists() else ""

    def everything():
        return said() + answer("scontrol", "show", "job", job) + log.read_text()

    wait_for("the first steps", lambda: "step 5/120" in said(), 300, everything)
    answer("scancel", "--signal=TERM", job)
    wait_for("the end", lambda: "queued again: scontrol requeue" in said(), 120, everything)
    assert said().count("Exited with exit code 75") == 2, everything()

    queued = lambda: "JobState=PENDING" in answer("scontrol", "show", "job", job)  # noqa: E731
    wait_for("the queue", queued, 20, everything)
    begin(answer, job)
    ended = lambda: "JobState=COMPLETED" in answer("scontrol", "show", "job", job)  # noqa: E731
    wait_for("the second end", ended, 300, everything)

    state = answer("scontrol", "show", "job", job)
    assert "Restarts=1" in state and "ExitCode=0:0" in state
    first, second = said().split("queued again")
    (resumed,) = re.findall(r"resuming from step (\d+) of 120", second)
    assert f"step {resumed} is saved" in first and 5 <= int(resumed) < 120
    steps = [json.loads(line)["step"] for line in (workdir / "metrics.jsonl").open()]
    assert steps == sorted(set(steps)) and steps[-1] == 120
    assert (workdir / "report.html").exists()


STAND_IN = """#!/bin/sh
# In python's place: the run of seed 2 is preempted the first time.
for argument in "$@"; do case $argument in --workdir=*) workdir=${argument#*=} ;; esac; done
mkdir -p "$workdir"
echo "$*" >>"$workdir/calls"
[ "$workdir" != runs/seed_2 ] || [ "$(wc -l <"$workdir/calls")" != 1 ] || exit 75
[ "$workdir" != runs/seed_1 ] || exit 3
"""


def test_of_an_array_only_what_was_preempted_comes_again(slurm, tmp_path):
    environment, answer, log = slurm
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT / "launch", checkout / "launch")
    shutil.copytree(ROOT / "configs", checkout / "configs")
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN)
    python.chmod(0o755)
    options = ["--config=configs/digits_joint.py", "--workdir=runs", "--seeds=0,1,2"]
    submit = ["launch/slurm.sh", *options, "--sbatch=--parsable"]
    submitted = subprocess.run(
        submit, cwd=checkout, env=environment, capture_output=True, text=True
    )
    assert submitted.returncode == 0, submitted.stderr
    job = submitted.stdout.strip()

    def show(number):
        return answer("scontrol", "show", "job", f"{job}_{number}")

    def said():
        return show(2) + log.read_text() + "".join(p.read_text() for p in checkout.glob("*.out"))

    wait_for("the queue", lambda: "PENDING" in show(2) and "Restarts=1" in show(2), 60, said)
    begin(answer, f"{job}_2")
    wait_for("the second end", lambda: "JobState=COMPLETED" in show(2), 60, said)
    assert "Restarts=1 " in show(2) and "ExitCode=0:0" in show(2)
    assert "Restarts=0 " in show(0) and "ExitCode=0:0" in show(0)
    assert "Restarts=0 " in show(1) and "ExitCode=3:0" in show(1)
    calls = [(checkout / f"runs/seed_{i}/calls").read_text().splitlines() for i in range(3)]
    assert [len(each) for each in calls] == [1, 1, 2]
    assert calls[2][0].endswith("--workdir=runs/seed_2 --config.seed=2")
    assert calls[2][0] == calls[2][1]
