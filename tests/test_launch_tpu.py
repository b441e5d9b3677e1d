"""TPU launchers: what they would run, when they try again, and whether gcloud knows the commands.

`gcloud` is a stand-in on PATH that notes its calls; its remote commands do what a test says.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAMED = ["--name=tpu", "--zone=us-west4-a"]
RUN = ["--config=configs/digits_joint.py:quick", "--workdir=gs://bucket/run"]
MADE = ["--accelerator=v5litepod-16", "--spot"]

# Notes its call; answers the n-th question of a kind with the n-th line of the file of that name.
GCLOUD = """#!/usr/bin/env bash
echo "$*" | tr '\\n' ' ' >>calls; echo >>calls
case "$*" in
  *" list "*) kind=state ;;
  *"ssh "*tpu_worker.sh*) kind=run ;;
  *" create "*) kind=create ;;
  *) exit 0 ;;
esac
n=$(($(cat $kind.count 2>/dev/null || echo 0) + 1))
echo $n >$kind.count
answer=$(sed -n ${n}p $kind 2>/dev/null)
if [ $kind = state ]; then echo "$answer"; else exit "${answer:-0}"; fi
"""


@pytest.fixture
def checkout(tmp_path):
    """A commit of the launchers and configs, with a gcloud that calls no one."""
    for folder in ("launch", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    write_program(tmp_path / "bin" / "gcloud", GCLOUD)
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def write_program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def environment(checkout, **more):
    return {**os.environ, "PATH": f"{checkout}/bin:{os.environ['PATH']}", **more}


def launch(checkout, *arguments, **more):
    return subprocess.run(
        ["launch/tpu_vm.sh", *arguments],
        cwd=checkout,
        env=environment(checkout, **more),
        capture_output=True,
        text=True,
    )


def calls(checkout):
    """Each call in a word or two."""
    lines = (checkout / "calls").read_text().splitlines() if (checkout / "calls").exists() else []
    words = [line.split() for line in lines]
    return ["run" if any("tpu_worker.sh" in w for w in each) else each[3] for each in words]


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "the command is ''; use create, setup, run, train or delete."),
        (["destroy"], "the command is 'destroy'; use create"),
        (["create"], "--name is missing; give the TPU VM a name."),
        (["create", "--name=tpu"], "--zone is missing; give the zone"),
        (["create", "--name=A_b", "--zone=z"], "--name is 'A_b'; use lower-case letters"),
        (["create", *NAMED], "--accelerator is missing; give the TPU's type"),
        (["create", *NAMED, "--accelerator=v9-8"], "--version is missing; the software of 'v9-8'"),
        (["create", *NAMED, "--colour=red"], "unknown option '--colour=red'; use one of --name"),
        (["create", "--name"], "--name has no value; use --name=VALUE."),
        (["create", "tpu"], "'tpu' is no option"),
        (["run", *NAMED, "--workdir=x"], "--config is missing; give an experiment"),
        (["run", *NAMED, RUN[0]], "--workdir is missing; give a folder"),
        (["run", *NAMED, "--config=configs/no.py", "--workdir=x"], "'configs/no.py' is not a file"),
        (["train", *NAMED, *MADE, *RUN, "--attempts=0"], "--attempts is '0'; use a positive"),
        (["train", *NAMED, *MADE, *RUN, "--pause=soon"], "--pause is 'soon'; use a whole number"),
    ],
)
def test_bad_usage_is_a_sentence(checkout, arguments, said):
    result = launch(checkout, *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert said in result.stderr
    assert calls(checkout) == []


def test_without_gcloud(checkout):
    (checkout / "bin" / "gcloud").unlink()
    for name in ("bash", "dirname"):
        (checkout / "bin" / name).symlink_to(shutil.which(name))
    result = launch(checkout, "delete", *NAMED, PATH=f"{checkout}/bin")
    assert result.returncode == 2 and "gcloud is not installed" in result.stderr


def dry_run(checkout, *arguments):
    result = launch(checkout, arguments[0], "--dry_run", *arguments[1:])
    assert result.returncode == 0, result.stderr
    assert calls(checkout) == [], "a dry run calls no one"
    return [line for line in result.stdout.splitlines() if not line.startswith("#")]


def test_dry_run_is_what_runs(checkout):
    """Word for word, but for the name of the temporary bundle."""
    arguments = ["train", *NAMED, *MADE, *RUN, "--env=A=1 B=2", "--project=p"]
    flags = ["--", "--config.seed=1", "--config.eval.tasks=('fid',)"]
    shown = [
        shlex.split(line)[1:]
        for line in dry_run(checkout, *arguments, *flags)
        if line.startswith("gcloud")
    ]
    assert launch(checkout, *arguments, *flags).returncode == 0
    ran = (checkout / "calls").read_text().splitlines()
    for words, line in zip(shown, ran, strict=False):
        if "scp" not in words:
            assert " ".join(words).split() == line.split()
    assert len(ran) == 5  # the state, create, two of setup, run
    assert "--version=v2-alpha-tpuv5-lite" in shown[1] and "--spot" in shown[1]
    (remote,) = [word for word in shown[4] if word.startswith("--command=")]
    assert shlex.split(remote.removeprefix("--command=")) == [
        *("cd", "ebm_jax", "&&", "env", "A=1", "B=2", "./launch/tpu_worker.sh"),
        *(*RUN, "--", "--config.seed=1", "--config.eval.tasks=('fid',)"),
    ]


@pytest.mark.parametrize(
    "accelerator, version",
    [
        ("v6e-8", "v2-alpha-tpuv6e"),
        ("v5p-8", "v2-alpha-tpuv5"),
        ("v5litepod-4", "v2-alpha-tpuv5-lite"),
        ("v4-8", "tpu-ubuntu2204-base"),
    ],
)
def test_version_of_an_accelerator(checkout, accelerator, version):
    (line,) = dry_run(checkout, "create", *NAMED, f"--accelerator={accelerator}")
    assert f"--version={version}" in line
    other = dry_run(checkout, "create", *NAMED, f"--accelerator={accelerator}", "--version=own")
    assert "--version=own" in other[0]


def test_setup_installs_this_commit_for_tpus(checkout):
    """The remote command, run here: the commit arrives and setup_env.sh is asked for tpu."""
    *_, line = dry_run(checkout, "setup", *NAMED)
    (remote,) = [w for w in shlex.split(line) if w.startswith("--command=")]
    worker = checkout / "worker"
    worker.mkdir()
    bundle = ["git", "bundle", "create", "--quiet", str(worker / "ebm_jax.bundle"), "HEAD"]
    subprocess.run(bundle, cwd=checkout, check=True)
    command = remote.removeprefix("--command=")
    install = ". launch/setup_env.sh requirements.txt"
    assert install in command
    command = command.replace(install, "echo $EBM_JAX_ACCELERATOR >installed")
    write_program(checkout / "bin" / "python3", "#!/bin/sh\n")  # new enough
    result = subprocess.run(
        ["bash", "-c", command],
        cwd=worker,
        env=environment(checkout),
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert (worker / "ebm_jax" / "installed").read_text() == "tpu\n"
    head = [
        subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=where)
        for where in (checkout, worker / "ebm_jax")
    ]
    assert head[0] == head[1]


def answers(checkout, **kinds):
    for kind, lines in kinds.items():
        (checkout / kind).write_text("".join(f"{line}\n" for line in lines))


SETUP = ["scp", "ssh"]


@pytest.mark.parametrize(
    "states, ends, code, expected",
    [
        (["", "READY"], [0], 0, ["list", "create", *SETUP, "run"]),
        (["READY"], [0], 0, ["list", *SETUP, "run"]),
        # Preempted with a checkpoint, the TPU still there: no new one is made.
        (
            ["READY", "READY", "READY"],
            [75, 0],
            0,
            ["list", *SETUP, "run", "list", "list", *SETUP, "run"],
        ),
        # The TPU was taken away: a new one.
        (
            ["READY", "PREEMPTED", "PREEMPTED"],
            [255, 0],
            0,
            ["list", *SETUP, "run", "list", "list", "delete", "create", *SETUP, "run"],
        ),
        # A connection lost is tried again, an error of the run is not.
        (["READY", "READY", "READY"], [255, 0], 0, ["list", *SETUP, "run"] * 2),
        (["READY", "READY"], [4], 4, ["list", *SETUP, "run", "list"]),
        (["READY"] * 9, [75, 75], 75, ["list", *SETUP, "run", "list"] * 2),
    ],
)
def test_train_until_the_run_has_ended(checkout, states, ends, code, expected):
    answers(checkout, state=states, run=ends)
    result = launch(checkout, "train", *NAMED, *MADE, *RUN, "--pause=0", "--attempts=2")
    assert result.returncode == code, result.stderr
    made = calls(checkout)
    # After a failure the state is asked twice, for what to say and for what to do.
    assert [c for i, c in enumerate(made) if c != "list" or made[i - 1] != "list"] == [
        c for i, c in enumerate(expected) if c != "list" or expected[i - 1] != "list"
    ]


def test_a_tpu_that_cannot_be_made(checkout):
    answers(checkout, state=[""], create=[1])
    result = launch(checkout, "train", *NAMED, *MADE, *RUN, "--pause=0")
    assert result.returncode == 1 and calls(checkout) == ["list", "create"]


def test_a_tpu_that_cannot_be_made_again_is_waited_for(checkout):
    answers(checkout, state=["READY", "PREEMPTED", "PREEMPTED", "", ""], create=[1, 0], run=[75, 0])
    result = launch(checkout, "train", *NAMED, *MADE, *RUN, "--pause=0")
    assert result.returncode == 0, result.stderr
    assert calls(checkout).count("create") == 2 and calls(checkout).count("run") == 2


def test_queued(checkout):
    answers(checkout, state=["", "WAITING_FOR_RESOURCES", "PROVISIONING", "ACTIVE"])
    result = launch(checkout, "train", *NAMED, *MADE, *RUN, "--pause=0", "--queued")
    assert result.returncode == 0, result.stderr
    assert calls(checkout) == ["list", "create", "list", "list", "list", *SETUP, "run"]
    text = (checkout / "calls").read_text()
    assert "queued-resources create tpu --node-id=tpu" in text and "--runtime-version=" in text


def test_a_tpu_that_is_being_made_is_waited_for_longer_than_the_attempts(checkout):
    """The command was stopped in the queue and started again."""
    answers(checkout, state=[*["WAITING_FOR_RESOURCES"] * 4, "CREATING", "ACTIVE"])
    wait = ["--pause=0", "--queued", "--attempts=1"]
    result = launch(checkout, "train", *NAMED, *MADE, *RUN, *wait)
    assert result.returncode == 0, result.stderr
    assert calls(checkout) == [*["list"] * 6, *SETUP, "run"]


def test_a_queued_request_that_failed(checkout):
    answers(checkout, state=["", "FAILED"])
    result = launch(checkout, "create", *NAMED, *MADE, "--pause=0", "--queued")
    state = launch(checkout, "create", *NAMED, *MADE, "--pause=0", "--queued")
    assert result.returncode == 1 and state.returncode == 1


# A bucket that is a folder; `rsync` copies as gcloud's does, without what --exclude names.
BUCKET = """#!/usr/bin/env bash
echo "$*" >>calls
[ ! -f broken ] || { echo "ERROR: permission denied" >&2; exit 1; }
case "$*" in
  *" ls "*)
    [ -d bucket ] || { echo "ERROR: One or more URLs matched no objects." >&2; exit 1; } ;;
  *"gs://b/run runs/b/run") cp -r bucket/. runs/b/run ;;
  *"runs/b/run gs://b/run")
    rm -rf bucket; cp -r runs/b/run bucket; find bucket -name "*orbax-checkpoint-tmp*" -delete ;;
esac
"""
METADATA = """#!/usr/bin/env bash
case "$*" in
  *agent-worker-number) echo "$WORKER" ;;
  *worker-network-endpoints) echo "$ENDPOINTS" ;;
esac
"""
# In python's place: a run that saves each second, and on SIGTERM, and exits with 75 or when asked.
STAND_IN = """#!/usr/bin/env bash
for argument in "$@"; do case $argument in --workdir=*) workdir=${argument#*=} ;; esac; done
env | grep ^JAX_ | sort >environment
echo "$*" >command
[ "$JAX_PROCESS_ID" != 1 ] || exit "$CODE"
trap 'echo saved on SIGTERM >>$workdir/log; exit 75' TERM
[ -n "$CODE" ] && { echo ended >>$workdir/log; exit "$CODE"; }
while true; do echo step >>$workdir/log; sleep 0.3; done
"""


@pytest.fixture
def worker(checkout):
    """A checkout on a TPU VM. What a failed test has left running is ended."""
    write_program(checkout / "bin" / "gcloud", BUCKET)
    write_program(checkout / "bin" / "curl", METADATA)
    write_program(checkout / ".venv" / "bin" / "python", STAND_IN)
    yield checkout
    while STARTED:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(STARTED.pop().pid, signal.SIGKILL)


STARTED = []
ON_BUCKET = ["--config=configs/digits_joint.py", "--workdir=gs://b/run"]


def start_worker(checkout, *arguments, number=0, endpoints="10.0.0.5", code=""):
    variables = {"WORKER": str(number), "ENDPOINTS": endpoints, "CODE": str(code)}
    process = subprocess.Popen(
        ["launch/tpu_worker.sh", *arguments],
        cwd=checkout,
        env=environment(checkout, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def end_of(process):
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


@pytest.mark.parametrize(
    "endpoints, expected",
    [
        ("10.0.0.5", []),
        ("unknown:unknown:10.0.0.5", []),
        ("10.0.0.5,10.0.0.6", ["10.0.0.5:8476", "2", "1"]),
        ("a:0:10.0.0.5,b:1:10.0.0.6,c:2:10.0.0.7", ["10.0.0.5:8476", "3", "1"]),
    ],
)
def test_processes_of_a_pod_are_numbered(worker, endpoints, expected):
    number = 1 if expected else 0
    options = ["--config=c.py", "--workdir=w", "--", "--config.seed=2"]
    code, output = end_of(
        start_worker(worker, *options, number=number, endpoints=endpoints, code=0)
    )
    assert code == 0, output
    found = [line.split("=", 1) for line in (worker / "environment").read_text().splitlines()]
    names = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
    found = {name: value for name, value in found if name in names}
    assert found == dict(zip(names, expected, strict=False))
    command = (worker / "command").read_text()
    assert command == "-m ebm_jax.main --config=c.py --workdir=w --config.seed=2\n"
    assert calls(worker) == []


@pytest.mark.parametrize("code", [0, 4, 75])
def test_a_bucket_gets_what_the_run_leaves_and_gives_it_back(worker, code):
    for lines in (1, 2):
        assert end_of(start_worker(worker, *ON_BUCKET, code=code))[0] == code
        assert (worker / "bucket" / "log").read_text() == "ended\n" * lines
        shutil.rmtree(worker / "runs")  # the next TPU VM has none


def test_other_workers_leave_the_bucket_alone(worker):
    process = start_worker(worker, *ON_BUCKET, number=1, endpoints="a,b", code=75)
    assert end_of(process)[0] == 75
    assert calls(worker) == []


def wait_for(condition):
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_sigterm_reaches_the_run_and_its_last_checkpoint_the_bucket(worker):
    process = start_worker(worker, *ON_BUCKET, "--sync_every=1")
    log = worker / "bucket" / "log"
    wait_for(log.exists)  # by the copy made while the run goes on
    process.send_signal(signal.SIGTERM)
    assert end_of(process)[0] == 75
    assert log.read_text().endswith("saved on SIGTERM\n")
    assert not (worker / "runs" / ".tpu_worker.pid").exists()


def test_what_a_lost_connection_left_behind_is_ended_first(worker):
    first = start_worker(worker, *ON_BUCKET)
    log = worker / "runs" / "b" / "run" / "log"
    noted = worker / "runs" / ".tpu_worker.pid"
    wait_for(lambda: all(path.exists() and path.read_text() for path in (log, noted)))
    first.kill()  # the shell alone: its run holds the TPU
    code, output = end_of(start_worker(worker, "--config=c.py", "--workdir=runs/b/run", code=0))
    assert code == 0, output
    assert log.read_text().endswith("saved on SIGTERM\nended\n")
    end_of(first)


def test_a_bucket_that_cannot_be_read_is_not_overwritten(worker):
    (worker / "broken").touch()
    code, output = end_of(start_worker(worker, *ON_BUCKET, code=0))
    assert code == 2 and "error: 'gs://b/run' cannot be read (ERROR: permission denied)" in output
    assert not (worker / "command").exists()


def test_off_a_tpu(worker):
    write_program(worker / "bin" / "curl", "#!/bin/sh\nexit 6\n")
    code, output = end_of(start_worker(worker, *ON_BUCKET))
    assert code == 2 and "metadata 'agent-worker-number' cannot be read" in output


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed")
def test_gcloud_knows_the_commands(checkout, tmp_path):
    """By its own check of command lines, which calls no service."""
    lines = [
        *dry_run(checkout, "train", *NAMED, *MADE, *RUN),
        *dry_run(checkout, "create", *NAMED, *MADE, "--queued", "--project=p"),
        *dry_run(checkout, "delete", *NAMED, "--queued"),
        "gcloud compute tpus queued-resources list --zone=z --filter=name~/x --format=value(state)",
        "gcloud storage ls gs://b/x/",
        "gcloud storage rsync --recursive --delete-unmatched-destination-objects --exclude=x a gs://b",
    ]
    commands = sorted({line for line in lines if line.startswith("gcloud")})
    assert len(commands) >= 9
    for command in [*commands, "gcloud compute tpus tpu-vm create x --zone=z --colour=red"]:
        checked = subprocess.run(
            ["gcloud", "meta", "lint-gcloud-commands", f"--command-string={command}"],
            env={**os.environ, "CLOUDSDK_CONFIG": str(tmp_path / "gcloud")},
            capture_output=True,
            text=True,
        )
        (verdict,) = json.loads(checked.stdout)
        assert verdict["success"] == ("colour" not in command), (command, verdict["error_message"])
