"""The run's folder: it can be written, and one process at a time trains in it."""

import os
import subprocess
import sys

import pytest

from ebm_jax import workdir as workdirs
from ebm_jax.errors import ConfigError


def test_folder_is_made_and_left_empty(tmp_path):
    path = workdirs.prepare(tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b"
    assert list(path.iterdir()) == []


@pytest.mark.parametrize("below, why", [("", "it is a file"), ("run", "Not a directory")])
def test_file_in_the_way(tmp_path, below, why):
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(
        ConfigError, match=f"'.*file.*' cannot be written .{why}.*another --workdir"
    ):
        workdirs.prepare(file / below)
    assert file.read_text() == "precious"


def test_one_process_at_a_time(tmp_path):
    """The second is refused with the first's number, and let in when the first is dead."""
    holder = (
        "import sys; from pathlib import Path; from ebm_jax.workdir import locked\n"
        "with locked(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", holder, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert first.stdout.readline() == "in\n"
        refused = pytest.raises(ConfigError, match=f"in use by process {first.pid}; wait for it")
        with refused, workdirs.locked(tmp_path):
            pass
    finally:
        first.kill()
        first.wait()
    with workdirs.locked(tmp_path):
        assert (tmp_path / ".lock").read_text() == str(os.getpid())
    with workdirs.locked(tmp_path):  # and again by the same process
        pass


@pytest.mark.parametrize("made", [True, False])
def test_a_refused_run_takes_away_what_it_made(tmp_path, made):
    run = tmp_path / "run"
    (run / "checkpoints" / "0").mkdir(parents=True)
    with pytest.raises(ConfigError), workdirs.locked(run, made=made):
        raise ConfigError("refused")
    assert run.exists() is not made


@pytest.mark.parametrize("name", ["config.json", "notes.txt"])
def test_what_is_not_the_refused_runs_stays(tmp_path, name):
    (tmp_path / name).touch()
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ConfigError), workdirs.locked(tmp_path, made=True):
        raise ConfigError("refused")
    assert (tmp_path / name).exists()
    assert (tmp_path / "checkpoints").exists() is (name == "config.json")


def test_a_run_that_the_lock_keeps_out_removes_nothing(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with workdirs.locked(tmp_path):
        with pytest.raises(ConfigError, match="in use"), workdirs.locked(tmp_path, made=True):
            pass
        assert (tmp_path / "checkpoints").exists() and (tmp_path / ".lock").exists()
