"""Task `likelihood` on a small digits run: what its JSON says, and that a kill changes nothing."""

import json
import shutil

import jax
import numpy as np
import pytest

from ebm_jax.errors import ConfigError, PreemptedError
from ebm_jax.evaluate import evaluate, open_context
from ebm_jax.evaluation import likelihood_task
from tests.test_train import tiny_config, trained_workdir


def likelihood_config():
    config = tiny_config()
    config.eval.tasks = ("likelihood",)
    config.eval.batch_size = 16
    config.eval.likelihood_images = 10
    config.eval.likelihood_simulated = 6
    config.eval.likelihood_temperatures = 40
    config.eval.likelihood_chains = 2
    config.eval.likelihood_leapfrog = 3
    config.eval.partition_chains = 20
    config.eval.iwae_samples = 120
    return config


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = shutil.copytree(trained_workdir(), tmp_path_factory.mktemp("likelihood") / "run")
    return folder, evaluate(likelihood_config(), folder)["likelihood"]


def without_seconds(value):
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if "seconds" not in k}
    return value


def test_json_has_the_bounds_and_how_they_came_about(evaluated):
    folder, result = evaluated
    written = json.loads((folder / "eval" / "likelihood.json").read_text())
    assert written["metric"] == "nats" and written["num_samples"] == 10
    assert "40 temperatures" in written["protocol"] and "subtract the upper" in written["protocol"]
    assert "N(x; mean, 0.3² I) over x in [-1, 1]" in written["protocol"]
    test, simulated = written["test_images"], written["simulated_images"]
    assert set(test) == {"AIS, lower bound", "IWAE, lower bound", "ELBO, lower bound"}
    assert set(simulated) == {"AIS, upper bound", *test}
    assert written["results"]["ais_lower"] == test["AIS, lower bound"]["nats"]
    gap = simulated["AIS, upper bound"]["nats"] - simulated["AIS, lower bound"]["nats"]
    assert written["simulated_gap"] == pytest.approx(gap)
    log_z = written["log_partition"]["log Z"]
    assert log_z["gap"] == pytest.approx(log_z["upper"] - log_z["lower"])
    for rows in (test, simulated):
        for row in rows.values():
            assert np.isfinite(list(row.values())).all() and row["standard_error"] > 0
            bits = -(row["nats"] / 64 + np.log(2 / 255)) / np.log(2)
            assert row["bits_per_dim"] == pytest.approx(bits)
        assert rows["ELBO, lower bound"]["nats"] < rows["IWAE, lower bound"]["nats"]
    for figure in written["figures"]:
        assert (folder / "eval" / figure).stat().st_size > 0
    assert not (folder / "eval" / "shards").exists()
    assert result["results"] == written["results"]
    assert "AIS, upper bound" in (folder / "report.html").read_text()


def killed(folder, number):
    """Runs the task until `number` chunks are stored, then is asked to stop."""
    context = open_context(likelihood_config(), folder)
    (folder / "eval").mkdir(exist_ok=True)

    def poll():
        if len(list((folder / "eval").glob("shards/likelihood/*/*.npz"))) == number:
            raise PreemptedError("stop")

    with pytest.raises(PreemptedError):
        likelihood_task.run(context._replace(poll=poll))


@pytest.mark.parametrize("number", [3, 9])
def test_a_kill_half_way_gives_the_same_numbers(evaluated, tmp_path, number):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    killed(folder, number)
    stored = sorted((folder / "eval").glob("shards/likelihood/*/*.npz"))
    assert len(stored) == number
    stored[1].write_bytes(stored[1].read_bytes()[:100])  # and one is damaged
    again = likelihood_task.run(open_context(likelihood_config(), folder))
    expected = {k: v for k, v in evaluated[1].items() if k in again}
    assert without_seconds(again) == without_seconds(expected)
    assert not (folder / "eval" / "shards").exists()


def test_chunks_of_other_settings_are_not_used(tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    killed(folder, 1)
    config = likelihood_config()
    config.eval.likelihood_temperatures = 41
    context = open_context(config, folder)

    def stop():
        raise PreemptedError("computing")

    with pytest.raises(PreemptedError, match="computing"):  # at its very first chunk
        likelihood_task.run(context._replace(poll=stop))


def test_without_energies_log_z_is_zero(tmp_path):
    config = likelihood_config()
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    context = open_context(config, folder)
    # The trained nets with the energies' last layer at zero, and nothing learned to tilt.
    energy = jax.tree.map(np.zeros_like, context.state.params["energy"])
    state = context.state._replace(params={**context.state.params, "energy": energy})
    method = context.method._replace(has_energy=False)
    (folder / "eval").mkdir()
    result = likelihood_task.run(context._replace(state=state, method=method))
    log_z = result["log_partition"]["log Z"]
    assert log_z["lower"] == log_z["upper"] == log_z["lower_error"] == log_z["upper_error"] == 0
    assert log_z["effective_chains"] == pytest.approx(20)
    assert "log Z = 0 (no energy)" in result["protocol"]


def test_a_method_without_density_says_so(tmp_path):
    context = open_context(likelihood_config(), shutil.copytree(trained_workdir(), tmp_path / "r"))
    with pytest.raises(ConfigError, match="method 'joint' has no density of images to integrate"):
        likelihood_task.run(context._replace(method=context.method._replace(evidence=None)))
