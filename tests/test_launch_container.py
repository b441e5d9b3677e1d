"""The container: lint, what it is built of, and the commands that build and run it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONTAINERFILE = (ROOT / "launch" / "Containerfile").read_text()
RUN = ["run", "--config=configs/digits_joint.py", "--workdir=runs/x"]


def test_hadolint():
    command = [Path(sys.executable).with_name("hadolint"), ROOT / "launch" / "Containerfile"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_pinned_and_without_root():
    (base,) = re.findall(r"^FROM (\S+)$", CONTAINERFILE, re.M)
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-bookworm", base)
    *_, user, entry = CONTAINERFILE.strip().splitlines()
    assert user == "USER 1000" and entry == 'ENTRYPOINT ["python", "-m", "ebm_jax.main"]'


@pytest.mark.slow
def test_what_is_copied_is_enough(tmp_path):
    for sources, target in re.findall(r"^COPY (.+) (\S+)$", CONTAINERFILE, re.M):
        for source in sources.split():
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            (tmp_path / target).parent.mkdir(exist_ok=True)
            if target.endswith("/"):
                (tmp_path / target).mkdir(exist_ok=True)
            copy(ROOT / source, tmp_path / target)
    command = [sys.executable, "-m", "ebm_jax.main", "--config=configs/digits_joint.py"]
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    result = subprocess.run(
        [*command, "--mode=dry_run"], cwd=tmp_path, env=kept, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


@pytest.fixture
def checkout(tmp_path):
    """The launchers, with engines that note their calls."""
    for folder in ("launch", "configs"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for name in ("docker", "podman"):
        engine = tmp_path / "bin" / name
        engine.parent.mkdir(exist_ok=True)
        engine.write_text('#!/bin/sh\necho "$(basename "$0") $*" >>calls\nexit "${CODE:-0}"\n')
        engine.chmod(0o755)
    return tmp_path


def launch(checkout, *arguments, **variables):
    path = f"{checkout}/bin:{os.environ['PATH']}"
    cache = str(checkout / "cache")
    return subprocess.run(
        ["launch/container.sh", *arguments],
        cwd=checkout,
        env={**os.environ, "PATH": path, "EBM_JAX_CACHE": cache, **variables},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "the command is ''; use build or run."),
        (["run", RUN[1]], "--workdir is missing; give a folder for the run."),
        (["run", RUN[2]], "--config is missing; give an experiment"),
        (["run", RUN[2], "--config=no.py"], "the config 'no.py' is not a file"),
        (["build", "--accelerator=abacus"], "--accelerator is 'abacus'; use cuda, tpu or cpu."),
        ([*RUN, "--data=/nowhere"], "--data is '/nowhere', which is no folder; name one that is."),
        (["build", "--engine=steam"], "--engine is 'steam'; use docker or podman."),
    ],
)
def test_bad_usage_is_a_sentence(checkout, arguments, said):
    result = launch(checkout, *arguments)
    assert result.returncode == 2 and not (checkout / "calls").exists()
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1
    assert said in result.stderr


def test_data_sets_are_mounted_read_only(checkout):
    (checkout / "sets").mkdir()
    assert launch(checkout, *RUN, "--data=sets").returncode == 0
    words = (checkout / "calls").read_text().split()
    assert f"--volume={checkout}/sets:/data:ro" in words and "--env=TFDS_DATA_DIR=/data" in words
    launch(checkout, *RUN)
    assert "/data" not in (checkout / "calls").read_text().splitlines()[-1]


@pytest.mark.parametrize("engine", ["docker", "podman"])
@pytest.mark.parametrize("accelerator", ["cuda", "tpu", "cpu"])
def test_dry_run_is_what_runs(checkout, engine, accelerator):
    options = [f"--engine={engine}", f"--accelerator={accelerator}"]
    shown = []
    for arguments in (["build", *options], [*RUN, *options, "--", "--config.seed=1"]):
        dry = launch(checkout, arguments[0], "--dry_run", *arguments[1:])
        assert dry.returncode == 0, dry.stderr
        shown += [line for line in dry.stdout.splitlines() if not line.startswith("mkdir")]
        assert not (checkout / "runs").exists()
    assert not (checkout / "calls").exists()
    launch(checkout, "build", *options)
    assert launch(checkout, *RUN, *options, "--", "--config.seed=1", CODE="75").returncode == 75
    assert (checkout / "calls").read_text().splitlines() == shown
    assert f"--build-arg=ACCELERATOR={accelerator}" in shown[0]
    assert f"--volume={checkout}/runs/x:/workdir" in shown[1]
    assert shown[1].endswith("--config=configs/digits_joint.py --workdir=/workdir --config.seed=1")
    assert (checkout / "runs" / "x").is_dir()
