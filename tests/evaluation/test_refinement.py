"""Task `refinement`: distances before and after the chain over independent sets of samples."""

import shutil
import statistics

import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluate import evaluate, open_context
from ebm_jax.evaluation import generation, refinement
from ebm_jax.methods.base import Samples
from tests.test_train import tiny_config, trained_workdir


@pytest.fixture
def config():
    c = tiny_config()
    c.eval.tasks = ("refinement",)
    return c


def test_means_and_spreads_are_of_sets_drawn_by_different_randomness(config, tmp_path):
    config.eval.tasks = ("refinement", "fd_classifier")
    config.eval.sample_sets = 4
    found = evaluate(config, shutil.copytree(trained_workdir(), tmp_path / "run"))
    sets, results = found["refinement"]["sets"], found["refinement"]["results"]
    deviations = found["refinement"]["deviations"]
    for kind in ("gaussian_prior", "ebm_prior"):
        assert sets[kind][0] == pytest.approx(found["fd_classifier"][kind], rel=1e-6)
        assert len(set(sets[kind])) == 4
    changes = [b - a for a, b in zip(sets["gaussian_prior"], sets["ebm_prior"], strict=True)]
    for name, values in {**sets, "change": changes}.items():
        assert results[name] == pytest.approx(statistics.fmean(values))
        assert deviations[name] == pytest.approx(statistics.stdev(values))
    assert "over 4 sets" in found["refinement"]["protocol"]


def test_a_chain_that_blows_up_has_no_distance(config, tmp_path):
    context = open_context(config, shutil.copytree(trained_workdir(), tmp_path / "run"))
    context.folder.mkdir(exist_ok=True)
    sample = context.method.sample

    def blown_up(state, key, n, *, prior, **options) -> Samples:
        samples = sample(state, key, n, prior=prior, **options)
        if prior == "gaussian":
            return samples
        return samples._replace(images=samples.images * float("nan"))

    context = context._replace(method=context.method._replace(sample=blown_up))
    results = refinement.run(context)["results"]
    assert results["ebm_prior"] != results["ebm_prior"]
    assert results["gaussian_prior"] > 0


def test_other_names_draw_other_samples(config, tmp_path):
    context = open_context(config, shutil.copytree(trained_workdir(), tmp_path / "run"))

    def first(name):
        return next(generation.image_sets(context, name)["gaussian_prior"].chunks(0))

    assert (first("samples") == first("samples")).all()
    assert (first("samples") != first("samples_1")).any()


def test_one_set_is_refused(config, tmp_path):
    config.eval.sample_sets = 1
    with pytest.raises(ConfigError, match="sample_sets is 1"):
        evaluate(config, shutil.copytree(trained_workdir(), tmp_path / "run"))
