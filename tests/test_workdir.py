"""The run's folder: what is checked before training and what config.json remembers."""

import json
import sys
import warnings

import pytest

from ebm_jax import workdir as workdirs
from ebm_jax.errors import ConfigError
from tests.test_train import tiny_config


def test_folder_is_made_and_left_empty(tmp_path):
    path = workdirs.prepare(tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b"
    assert list(path.iterdir()) == []


@pytest.mark.parametrize("below", ["", "run"])
def test_file_in_the_way(tmp_path, below):
    file = tmp_path / "file"
    file.write_text("precious")
    with pytest.raises(ConfigError, match="the workdir '.*file.*' cannot be written"):
        workdirs.prepare(file / below)
    assert file.read_text() == "precious"


def test_record_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "--config", "configs/digits_joint.py"])
    workdirs.record_run(tiny_config(), tmp_path)
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["command"] == "python -m ebm_jax.main --config configs/digits_joint.py"
    assert record["config"]["train"]["num_steps"] == 40
    assert record["config"]["model"]["latent_sizes"] == [4, 2]
    assert {"python", "jax", "flax", "optax", "orbax-checkpoint"} <= record["versions"].keys()
    assert "CPU cores" in record["hardware"]
    commit = record["git_commit"].removesuffix("-dirty")
    assert commit == "unknown" or (len(commit) == 40 and int(commit, 16))


def test_changed_settings_are_named(tmp_path):
    workdirs.record_run(tiny_config(), tmp_path)
    config = tiny_config()
    config.optim.energy.learning_rate = 0.5
    config.data.batch_size = 8
    with pytest.warns(UserWarning, match="other settings") as caught:
        workdirs.record_run(config, tmp_path)
    message = str(caught[0].message)
    assert "data.batch_size: 16 → 8; optim.energy.learning_rate: 0.0001 → 0.5" in message


def test_longer_run_is_no_changed_setting(tmp_path):
    workdirs.record_run(tiny_config(), tmp_path)
    config = tiny_config()
    config.train.num_steps = 80
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        workdirs.record_run(config, tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["config"]["train"]["num_steps"] == 80


def test_start_of_the_first_run_is_kept(tmp_path):
    workdirs.record_run(tiny_config(), tmp_path)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": "long ago"}))
    workdirs.record_run(tiny_config(), tmp_path)
    assert json.loads(path.read_text())["started"] == "long ago"


@pytest.mark.parametrize("content", ["", "{", "[1, 2]"])
def test_unreadable_record_is_written_again(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.warns(UserWarning, match="config.json' cannot be read"):
        workdirs.record_run(tiny_config(), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["config"]["seed"] == 0
