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
    with pytest.raises(ConfigError, match=f"the workdir '.*file.*' cannot be written .{why}"):
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
