"""config.json: what it remembers, and which changes of settings it refuses or names."""

import json
import sys
import warnings

import pytest

from configs import digits_control
from ebm_jax import provenance
from ebm_jax.errors import ConfigError
from tests.test_train import tiny_config


def test_record_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["main.py", "--config", "configs/digits_joint.py"])
    provenance.record_run(tiny_config(), tmp_path, 0)
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["command"] == "python -m ebm_jax.main --config configs/digits_joint.py"
    assert record["config"]["train"]["num_steps"] == 40
    assert record["config"]["model"]["latent_sizes"] == [4, 2]
    assert {"python", "jax", "flax", "optax", "orbax-checkpoint"} <= record["versions"].keys()
    assert "CPU core" in record["hardware"]
    commit = record["git_commit"].removesuffix("-dirty")
    assert commit == "unknown" or (len(commit) == 40 and int(commit, 16))


def test_changed_settings_are_named(tmp_path):
    provenance.record_run(tiny_config(), tmp_path, 0)
    config = tiny_config()
    config.optim.energy.learning_rate = 0.5
    config.sampler.prior.step_size = 0.25
    with pytest.warns(UserWarning, match="other settings") as caught:
        provenance.record_run(config, tmp_path, 20)
    message = str(caught[0].message)
    assert "optim.energy.learning_rate: 0.0002 → 0.5; sampler.prior.step_size: " in message
    changes = json.loads((tmp_path / "config.json").read_text())["changes"]
    assert [change["step"] for change in changes] == [20, 20]
    assert changes[0]["setting"] == "optim.energy.learning_rate: 0.0002 → 0.5"


def test_a_run_that_goes_on_with_other_code_says_so(tmp_path, monkeypatch):
    config = tiny_config()
    end = config.train.num_steps
    warned = []
    for commit, step in zip("aabbac", (0, 10, 20, 30, 35, end), strict=True):
        monkeypatch.setattr(provenance, "git_commit", lambda commit=commit: commit)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            provenance.record_run(config, tmp_path, step)
        warned.append([str(warning.message).split(": ")[-1] for warning in caught])
    assert warned == [[], [], ["a → b"], [], ["b → a"], []]
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["git_commit"] == "a" and record["changes"] == []
    found = [(entry["step"], entry["git_commit"]) for entry in record["commits"]]
    assert found == [(0, "a"), (20, "b"), (35, "a")]  # none for the finished run's evaluation
    provenance.record_run(config, tmp_path, 0)  # begun anew
    record = json.loads((tmp_path / "config.json").read_text())
    assert record["commits"] == [{"step": 0, "git_commit": "c"}]


def test_a_folder_without_a_past_is_no_other_code(tmp_path):
    """That of a process beside the first one, in which nothing is kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        provenance.record_run(tiny_config(), tmp_path, 20)
    commits = json.loads((tmp_path / "config.json").read_text())["commits"]
    assert [entry["step"] for entry in commits] == [20]


@pytest.mark.parametrize(
    "setting, value",
    [
        ("seed", 5),
        ("data.batch_size", 8),
        ("data.held_out_class", 3),
        ("model.likelihood.sigma", 0.1),
        ("method.name", "x"),
    ],
)
def test_another_run_is_refused(tmp_path, setting, value):
    provenance.record_run(tiny_config(), tmp_path, 0)
    before = (tmp_path / "config.json").read_bytes()
    config = tiny_config()
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(ConfigError, match=f"other settings \\({setting}: .* → {value}\\)"):
        provenance.check_same_run(config, tmp_path)
    assert (tmp_path / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    "setting, value",
    [("diffusion.num_steps", 5), ("coupling.hidden", (8,)), ("coupling.layers", ((1,), (2,)))],
)
def test_levels_and_coupling_make_the_run(tmp_path, setting, value):
    provenance.record_run(digits_control.get_config(), tmp_path, 0)
    config = digits_control.get_config()
    config.diffusion.weight_power = 0.0  # is learning's alone
    provenance.check_same_run(config, tmp_path)
    config.update_from_flattened_dict({setting: value})
    with pytest.raises(ConfigError, match=f"other settings \\({setting}"):
        provenance.check_same_run(config, tmp_path)


def test_what_does_not_make_the_run_may_change(tmp_path):
    provenance.record_run(tiny_config(), tmp_path, 0)
    config = tiny_config()
    config.optim.energy.learning_rate = 0.5
    config.eval.num_samples = 7
    provenance.check_same_run(config, tmp_path)
    provenance.check_same_run(config, tmp_path / "elsewhere")


def test_a_setting_the_code_has_gained_since_is_no_change(tmp_path):
    config = tiny_config()
    provenance.record_run(config, tmp_path, 0)
    path = tmp_path / "config.json"
    record = json.loads(path.read_text())
    del record["config"]["model"]["generator"]["combine"]
    path.write_text(json.dumps(record))
    del record["config"]["data"]["classes"]
    path.write_text(json.dumps(record))
    provenance.check_same_run(config, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        provenance.record_run(config, tmp_path, config.train.num_steps)
    path.write_text(json.dumps(record))
    config.data.classes = (0, 1)
    with pytest.raises(ConfigError, match="data.classes: None → "):
        provenance.check_same_run(config, tmp_path)


def test_a_run_that_goes_on_keeps_where_it_came_from(tmp_path, monkeypatch):
    provenance.record_run(tiny_config(), tmp_path, 0)
    first = json.loads((tmp_path / "config.json").read_text())
    monkeypatch.setattr(provenance, "git_commit", lambda: "fedcba9876543210")
    provenance.record_run(tiny_config(), tmp_path, 20)
    assert json.loads((tmp_path / "config.json").read_text())["git_commit"] == first["git_commit"]
    provenance.record_run(tiny_config(), tmp_path, 0)  # from the beginning: another run
    found = json.loads((tmp_path / "config.json").read_text())
    assert found["git_commit"] == "fedcba9876543210"


def test_a_finished_run_takes_no_other_settings(tmp_path):
    config = tiny_config()
    provenance.record_run(config, tmp_path, 0)
    before = (tmp_path / "config.json").read_bytes()
    config.optim.energy.learning_rate = 0.5
    with pytest.raises(ConfigError, match="finished at step 40.*energy.learning_rate: .* → 0.5"):
        provenance.record_run(config, tmp_path, 40)
    assert (tmp_path / "config.json").read_bytes() == before


def test_longer_run_is_no_changed_setting(tmp_path):
    provenance.record_run(tiny_config(), tmp_path, 0)
    config = tiny_config()
    config.train.num_steps = 80
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        provenance.record_run(config, tmp_path, 20)
    assert json.loads((tmp_path / "config.json").read_text())["config"]["train"]["num_steps"] == 80


def test_start_of_the_first_run_is_kept(tmp_path):
    provenance.record_run(tiny_config(), tmp_path, 0)
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": "long ago"}))
    provenance.record_run(tiny_config(), tmp_path, 0)
    assert json.loads(path.read_text())["started"] == "long ago"


def test_the_number_of_examples_is_named_only_where_nothing_else_tells(tmp_path):
    config = tiny_config()
    config.data.num_examples = 1438
    provenance.record_run(config, tmp_path, 0)
    config.data.num_examples = 1277
    with pytest.raises(ConfigError, match="settings \\(data.num_examples: 1438 → 1277\\)"):
        provenance.check_same_run(config, tmp_path)
    config.data.held_out_class = 1
    with pytest.raises(ConfigError, match="settings \\(data.held_out_class: None → 1\\)"):
        provenance.check_same_run(config, tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", None], ids=["empty", "cut", "list", "gone"])
def test_no_run_goes_on_whose_record_is_damaged_or_missing(tmp_path, content):
    """Under another seed or command it would pass for what it is not."""
    (tmp_path / "checkpoints" / "20").mkdir(parents=True)
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    wrong = "is missing" if content is None else "cannot be read"
    for act in (
        lambda: provenance.record_run(tiny_config(), tmp_path, 20),
        lambda: provenance.check_same_run(tiny_config(), tmp_path),
    ):
        with pytest.raises(ConfigError, match=f"config.json' {wrong}.*put a copy of it back"):
            act()
    assert (tmp_path / "config.json").is_file() == (content is not None)
