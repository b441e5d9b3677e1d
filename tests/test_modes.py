"""The command line's modes, and that each says in a sentence what it lacks."""

import shutil

import pytest

from ebm_jax import modes
from ebm_jax.errors import ConfigError, DataError
from tests.test_train import tiny_config, trained_workdir


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_unknown_mode():
    with pytest.raises(ConfigError, match="--mode is 'teach'; use one of: train, eval, sample"):
        modes.run("teach", tiny_config(), "run")


def test_a_bucket_is_no_folder(tmp_path):
    with pytest.raises(ConfigError, match="--workdir is 'gs://bucket/run', but only folders are"):
        modes.run("train", tiny_config(), "gs://bucket/run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["eval", "sample"])
def test_nothing_to_evaluate_or_sample(tmp_path, mode):
    with pytest.raises(ConfigError, match="there is n.* checkpoint in .*; train first"):
        modes.run(mode, tiny_config(), str(tmp_path / "run"))


def test_tasks_and_settings_are_checked_before_any_work(tmp_path):
    config = tiny_config()
    config.eval.tasks = ("reconstruction", "fib")
    with pytest.raises(ConfigError, match="eval.tasks names 'fib'"):
        modes.run("train", config, str(tmp_path / "run"))
    config = tiny_config()
    config.train.log_every = 0
    with pytest.raises(ConfigError, match="train.log_every is 0"):
        modes.run("train", config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("mode", ["train", "dry_run"])
def test_what_data_and_method_lack_is_said_before_training(tmp_path, mode):
    config = tiny_config()
    config.data.batch_size = 5_000
    with pytest.raises(ConfigError, match="data.batch_size is 5000, more than the 1438 images"):
        modes.run(mode, config, str(tmp_path / "run"))
    config = tiny_config()
    config.eval.tasks = ("residual",)
    with pytest.raises(ConfigError, match="names residual, but method 'joint' adds no residual"):
        modes.run(mode, config, str(tmp_path / "run"))
    assert not (tmp_path / "run").exists()


def test_samples_are_written(tmp_path, capsys):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    modes.run("sample", tiny_config(), str(folder))
    assert "64 samples of step 40" in capsys.readouterr().out


def test_dry_run_opens_the_test_split():
    config = tiny_config()
    config.data.eval_split = "tset"
    with pytest.raises(DataError, match="'tset'"):
        modes.run("dry_run", config, None)


def test_dry_run_writes_nothing(tmp_path, capsys):
    modes.run("dry_run", tiny_config(), None)
    modes_output = capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    for part in ('"batch_size": 16', "split train", "generator", "energy", "GFLOP"):
        assert part in modes_output
