"""Task `anomaly`: a held-out class of the digits, and what is refused."""

import json
import shutil

import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluate import evaluate, open_context
from ebm_jax.evaluation import anomaly, shards
from ebm_jax.evaluation.scoring import score_terms, total
from ebm_jax.train import train
from tests.test_train import tiny_config, trained_workdir


def config_of(**data):
    config = tiny_config()
    config.data.update(data)
    config.eval.tasks = ("anomaly",)
    config.eval.num_detection = 359
    return config


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held_out") / "run"
    train(config_of(held_out_class=0), folder)
    return folder


def test_json_on_digits(workdir):
    evaluate(config_of(held_out_class=0), workdir)
    written = json.loads((workdir / "eval" / "anomaly.json").read_text())
    assert (written["metric"], written["held_out_class"]) == ("auprc", 0)
    assert (written["num_samples"], written["num_anomalies"]) == (359, 27)
    assert written["prevalence"] == pytest.approx(27 / 359)
    assert set(written["detection"]) == {
        *("log_joint", "likelihood", "latents", "energy", "standardised")
    }
    for found in written["detection"].values():
        assert 0 <= found["auroc_low"] <= found["auroc"] <= found["auroc_high"] <= 1
        assert written["worst_auprc"] <= found["auprc"] <= 1
    assert written["auroc"] == written["detection"]["log_joint"]["auroc"]
    auprc = {name: found["auprc"] for name, found in written["detection"].items()}
    assert written["results"] == auprc
    assert "each in standard deviations of training images, un-normalised" in written["protocol"]
    assert written["num_trained_on"] == 1287
    assert "without one class; 359 images of split test" in written["protocol"]
    for figure in written["figures"]:
        assert (workdir / "eval" / figure).stat().st_size > 0
    assert not (workdir / "eval" / "shards").exists()


def test_scores_are_the_terms_of_log_score(workdir):
    """In chunks whose last one is short, averaged over draws."""
    config = config_of(held_out_class=0)
    config.eval.score_samples = 2
    context = open_context(config, workdir)
    terms = score_terms(context, "anomaly", context.eval_set, "test", np.arange(130))
    assert set(terms) == {"likelihood", "energy", "prior"}
    config.eval.batch_size = 130
    context = open_context(config, workdir)
    whole = score_terms(context, "anomaly", context.eval_set, "test", np.arange(130))
    for name, values in terms.items():
        assert values.shape == (130,) and values.dtype == np.float64
        np.testing.assert_allclose(values, whole[name], rtol=1e-4, atol=1e-3)

    class OnlyTheScore:
        log_terms, log_score = None, staticmethod(context.method.log_score)

    shards.remove(context, "anomaly")
    context = context._replace(method=OnlyTheScore)
    plain = score_terms(context, "anomaly", context.eval_set, "test", np.arange(130))
    assert set(plain) == {"score"}
    np.testing.assert_allclose(plain["score"], total(whole), rtol=1e-5)
    shards.remove(context, "anomaly")


def test_score_falls_with_the_density(workdir):
    terms = {"likelihood": np.array([2.0, 1.0]), "energy": np.array([1.0, 3.0])}
    terms["prior"] = np.array([0.5, 0.25])
    usual = {"likelihood": np.array([4.0, 0.0]), "energy": np.array([5.0, 5.5, 6.0])}
    scores = anomaly._scores(terms, usual, has_energy=True)
    np.testing.assert_array_equal(scores["log_joint"], [-3.5, -4.25])
    np.testing.assert_array_equal(scores["latents"], [-1.5, -3.25])
    np.testing.assert_array_equal(scores["energy"], [-1.0, -3.0])
    spread = np.std(usual["energy"])
    expected = [-0.0 - (1.0 - 5.5) / spread, 0.5 - (3.0 - 5.5) / spread]  # (2 and 1, around 2 ± 2)
    np.testing.assert_allclose(scores["standardised"], expected)
    warming_up = {**terms, "energy": np.zeros(2)}  # the same names in all checkpoints
    assert set(anomaly._scores(warming_up, warming_up, has_energy=True)) == set(scores)
    assert set(scores) - set(anomaly._scores(warming_up, warming_up, has_energy=False)) == {
        *("energy", "standardised")
    }


def test_worst_auprc():
    """One anomaly of four found last; the spec's 0.06 at 11 % prevalence."""
    assert anomaly.worst_auprc(1, 4) == 0.25
    assert anomaly.worst_auprc(1135, 10_000) == pytest.approx(0.06, abs=0.001)


def test_mean_over_the_last_checkpoints(workdir, tmp_path):
    """Each checkpoint is measured with its own weights; a run with fewer says so."""
    folder = shutil.copytree(workdir, tmp_path / "run")
    config = config_of(held_out_class=0)
    config.eval.last_checkpoints = 2
    found = evaluate(config, folder)["anomaly"]
    steps = found["over_checkpoints"]["log_joint"]["checkpoints"]
    assert set(steps) == {"30", "40"}
    assert steps["40"] == found["detection"]["log_joint"]["auprc"]
    assert steps["30"] != steps["40"]
    values = list(steps.values())
    assert found["results"]["log_joint"] == pytest.approx(np.mean(values))
    assert found["over_checkpoints"]["log_joint"]["std"] == pytest.approx(np.std(values, ddof=1))
    assert "mean of the last 2 checkpoints" in found["protocol"]
    shutil.rmtree(folder / "checkpoints" / "20")
    shutil.rmtree(folder / "checkpoints" / "30")
    with pytest.raises(ConfigError, match="last_checkpoints is 2, but the run has 1 that can be"):
        evaluate(config, folder)


def test_model_that_has_seen_every_class(tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    with pytest.raises(ConfigError, match="data.held_out_class is not set"):
        evaluate(config_of(), folder)
    with pytest.raises(ConfigError, match="other settings .data.held_out_class: None → 0"):
        evaluate(config_of(held_out_class=0), folder)


def test_too_few_examples_for_the_class(workdir):
    config = config_of(held_out_class=0)
    config.eval.num_detection = 2
    with pytest.raises(ConfigError, match="The 2 examples scored .* raise eval.num_detection"):
        evaluate(config, workdir)
