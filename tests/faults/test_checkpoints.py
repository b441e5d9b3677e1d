"""Checkpoints that are damaged while no run is under way."""

import os
import shutil

import pytest

from tests.faults.commands import STEPS, complete, whole
from tests.test_train import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


@pytest.mark.parametrize(
    "pattern, damage",
    [
        ("state/ocdbt.process_0/d/*", lambda path: os.truncate(path, path.stat().st_size // 2)),
        ("shapes/metadata", lambda path: os.truncate(path, 0)),
        ("state/manifest.ocdbt", lambda path: path.unlink()),
    ],
    ids=["truncated", "emptied", "removed"],
)
def test_damaged_newest_checkpoint(tmp_path, pattern, damage):
    shutil.copytree(whole(), tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "export")
    for file in (tmp_path / "checkpoints" / str(STEPS)).glob(pattern):
        damage(file)
    output, errors = complete(tmp_path)
    assert f"warning: the checkpoint of step {STEPS} " in errors
    assert "Traceback" not in errors
    assert f"resuming from step {STEPS - 20} of {STEPS}" in output
    assert_same_run(tmp_path, whole())
