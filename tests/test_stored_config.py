"""A command line without --config takes the config of the run or export in --workdir."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ebm_jax import stored_config
from ebm_jax.errors import ConfigError
from tests.test_train import tiny_config, trained_workdir

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("where", [".", "export"])
def test_the_config_is_the_runs(where):
    found = stored_config.read(trained_workdir() / where).to_dict()
    expected = tiny_config().to_dict()
    assert found["data"].pop("num_examples") > 1000 and expected["data"].pop("num_examples") is None
    assert found == expected


def test_settings_without_a_value_take_one(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"config": {"a": None, "b": {"c": None}}}))
    config = stored_config.get_config(str(tmp_path))
    config.a, config.b.c = 3, (1, 2)
    assert config.to_dict() == {"a": 3, "b": {"c": (1, 2)}}


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_damaged(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ConfigError, match="cannot be read; give the experiment: --config"):
        stored_config.get_config(str(tmp_path))


def test_damaged_in_an_export(tmp_path):
    for name in ("config.json", stored_config.PARAMETERS):
        (tmp_path / name).write_text("{")
    command = [sys.executable, "-m", "ebm_jax.main", "--mode=sample", f"--workdir={tmp_path}"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    path = tmp_path / "config.json"
    words = f"error: '{path}' cannot be read; take the export again from where it came.\n"
    assert (ended.returncode, ended.stderr) == (3, words)


@pytest.mark.parametrize(
    "folder, said",
    [
        (None, "--config is missing; give an experiment"),
        ("nowhere", "there is no folder 'nowhere', and no --config; give an experiment"),
        (
            str(ROOT),
            r"there is no run or export in '.*' \(config.json is missing\), and no --config;",
        ),
    ],
)
def test_what_lacks_where_there_is_no_config(folder, said):
    assert re.match(said, str(stored_config.missing_config(folder)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["main", "--config=configs/x.py", "--workdir", "RUN"],
        ["main", "--config", "configs/x.py", "--workdir=RUN"],
        ["main", "--workdir=elsewhere"],
        ["main", "--mode=sample"],
        ["main"],
    ],
)
def test_other_command_lines_stay(arguments):
    arguments = [a.replace("RUN", str(trained_workdir())) for a in arguments]
    assert stored_config.with_stored_config(arguments) == arguments


@pytest.mark.parametrize("form", [["--workdir", "RUN"], ["--workdir=RUN"], ["-workdir=RUN"]])
def test_a_folder_with_a_config(form):
    arguments = ["main", *(a.replace("RUN", str(trained_workdir())) for a in form), "--mode=eval"]
    program, added, *rest = stored_config.with_stored_config(arguments)
    assert [program, *rest] == arguments
    assert added == f"--config={stored_config.__file__}:{trained_workdir()}"


def test_command_line(tmp_path):
    folder = shutil.copytree(trained_workdir() / "export", tmp_path / "export")
    command = [sys.executable, "-m", "ebm_jax.main", "--mode=sample", f"--workdir={folder}"]
    settings = ["--config.sample.num_images=3", "--config.eval.prior_steps=7"]
    done = subprocess.run([*command, *settings], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 samples of step 40: ")
    wrong = subprocess.run([*command, "--config.nope=1"], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("error: bad command line: the config has no setting 'nope'")
