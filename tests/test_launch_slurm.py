"""Slurm's launchers with stand-ins for its programs; tests/test_slurm.py has the real ones."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RUN = ["--config=configs/digits_joint.py:quick", "--workdir=runs/x"]
NOTE = '#!/bin/sh\necho "$(basename "$0") $*" >>calls\n'


@pytest.fixture
def checkout(tmp_path):
    """The launchers, with an sbatch, srun and scontrol that note their calls."""
    for folder in ("launch", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    ends = {"sbatch": "", "srun": 'echo "$JAX_LOCAL_DEVICE_IDS" >devices\nexit "$CODE"\n'}
    for name in ("sbatch", "srun", "scontrol"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(NOTE + ends.get(name, 'exit "${SCONTROL:-0}"\n'))
        program.chmod(0o755)
    return tmp_path


def launch(checkout, script, *arguments, **variables):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    path = f"{checkout}/bin:{os.environ['PATH']}"
    return subprocess.run(
        [f"launch/{script}", *arguments],
        cwd=checkout,
        env={**kept, "PATH": path, **variables},
        capture_output=True,
        text=True,
    )


def calls(checkout):
    file = checkout / "calls"
    return file.read_text().splitlines() if file.exists() else []


def job(checkout, *arguments, code=0, **variables):
    where = {"SLURM_SUBMIT_DIR": str(checkout), "SLURM_JOB_ID": "7", "CODE": str(code)}
    return launch(checkout, "slurm.sbatch", *arguments, **where, **variables)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "--workdir is missing; give a folder that all nodes see."),
        (["--workdir=x"], "--config is missing; give an experiment"),
        (["--workdir=x", "--config=no.py"], "the config 'no.py' is not a file"),
        ([*RUN, "--nodes=0"], "--nodes is '0'; use a positive whole number."),
        ([*RUN, "--gpus_per_node=all"], "--gpus_per_node is 'all'; use 0 or more."),
        ([*RUN, "--seeds=a"], "--seeds is 'a'; use numbers, e.g. 0,1,2."),
        ([*RUN, "--configs=a,b"], "--configs excludes --config and --seeds"),
        ([*RUN, "--config.seed=1"], "unknown option '--config.seed=1'; use one of --config"),
    ],
)
def test_bad_usage_is_a_sentence(checkout, arguments, said):
    result = launch(checkout, "slurm.sh", *arguments)
    assert result.returncode == 2 and calls(checkout) == []
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert said in result.stderr


MANY = [
    [
        *RUN,
        "--nodes=2",
        "--gpus_per_node=4",
        "--sbatch=--time=1:00 -p gpu",
        "--",
        "--config.a=(1,)",
    ],
    [*RUN, "--seeds=3,5"],
    ["--configs=configs/digits_joint.py:quick,configs/digits_vae.py", RUN[1]],
]


@pytest.mark.parametrize("arguments", MANY)
def test_dry_run_is_what_runs(checkout, arguments):
    """The line of sbatch, and those that the submitted jobs then run."""
    result = launch(checkout, "slurm.sh", "--dry_run", *arguments)
    assert result.returncode == 0 and calls(checkout) == [], result.stderr
    shown = [line for line in result.stdout.splitlines() if not line.startswith("#")]
    assert launch(checkout, "slurm.sh", *arguments).returncode == 0
    (submitted,) = calls(checkout)
    assert submitted == shown[0].replace("'", "")
    words = submitted.split()
    own = words[words.index("launch/slurm.sbatch") + 1 :]
    (array,) = [w.removeprefix("--array=") for w in words if w.startswith("--array=")] or [""]
    for identity in array.split(","):
        variables = {"SLURM_ARRAY_TASK_ID": identity, "SLURM_ARRAY_JOB_ID": "7"} if identity else {}
        assert job(checkout, *own, SLURM_GPUS_ON_NODE="4", **variables).returncode == 0
    ran = calls(checkout)[1:]
    assert ran == [line[line.index("srun") :].replace("'", "") for line in shown[1:]]


def test_an_array_has_a_folder_for_each_run(checkout):
    for arguments in MANY[1:]:
        launch(checkout, "slurm.sh", "--dry_run", *arguments)
    seeds, configs = (
        launch(checkout, "slurm.sh", "--dry_run", *arguments).stdout for arguments in MANY[1:]
    )
    assert "--array=3,5" in seeds
    for seed in (3, 5):
        assert f"--workdir=runs/x/seed_{seed} --config.seed={seed}\n" in seeds
    assert "--array=0,1" in configs
    for config in ("digits_joint.py:quick", "digits_vae.py"):
        folder = config.replace(".py", "").replace(":", "_")
        assert f"--config=configs/{config} --workdir=runs/x/{folder}\n" in configs


def test_sbatch_finds_its_options_in_the_job():
    lines = (ROOT / "launch" / "slurm.sbatch").read_text().splitlines()
    options = {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}
    assert {"--ntasks-per-node=1", "--requeue", "--open-mode=append"} <= options
    assert "--signal=TERM@120" in options  # to the steps, that is the run; B: would be this script


@pytest.mark.parametrize("code", [0, 2, 3, 4, 75, 134])
def test_queued_again_exactly_after_75(checkout, code):
    result = job(checkout, *RUN, code=code)
    assert result.returncode == code
    again = [line for line in calls(checkout) if line.startswith("scontrol")]
    assert again == (["scontrol requeue 7"] if code == 75 else [])


def test_of_an_array_its_own_job_is_queued_again(checkout):
    """The last of an array has the array's own number."""
    job(checkout, *RUN, code=75, SLURM_ARRAY_JOB_ID="7", SLURM_ARRAY_TASK_ID="2")
    assert calls(checkout)[-1] == "scontrol requeue 7_2"


def test_where_queueing_again_fails(checkout):
    result = job(checkout, *RUN, code=75, SCONTROL="1")
    assert result.returncode == 75
    assert "error: queueing again failed; submit the same command again." in result.stderr


@pytest.mark.parametrize("gpus, devices", [("", ""), ("1", ""), ("4", "0,1,2,3")])
def test_one_process_has_all_gpus_of_its_node(checkout, gpus, devices):
    variables = {"SLURM_GPUS_ON_NODE": gpus} if gpus else {}
    assert job(checkout, *RUN, **variables).returncode == 0
    assert (checkout / "devices").read_text().strip() == devices


def test_the_job_outlives_a_sigterm_to_its_shell(checkout):
    """Slurm may signal the batch script too: it still waits, and still queues again."""
    srun = checkout / "bin" / "srun"
    srun.write_text("#!/bin/sh\nkill -TERM $PPID\nsleep 0.3\nexit 75\n")
    assert job(checkout, *RUN).returncode == 75
    assert calls(checkout) == ["scontrol requeue 7"]
