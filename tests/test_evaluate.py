"""evaluate(): what the tasks' JSON says, what is skipped, what is refused."""

import json
import shutil
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from ebm_jax import evaluate as evaluation
from ebm_jax.errors import ConfigError, PreemptedError
from ebm_jax.evaluate import evaluate
from ebm_jax.evaluation import chains
from ebm_jax.evaluation import context as context_of
from ebm_jax.evaluation.context import Context
from tests.test_train import tiny_config, trained_workdir

DIGITS = SimpleNamespace(name="digits", num_classes=10, image_shape=(8, 8, 1), num_examples=1438)
TASKS = ("reconstruction", "fd_classifier", "chains")


def config_of(*tasks):
    config = tiny_config()
    config.eval.tasks = tasks
    return config


@pytest.fixture
def workdir(tmp_path):
    return shutil.copytree(trained_workdir(), tmp_path / "run")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = shutil.copytree(trained_workdir(), tmp_path_factory.mktemp("evaluated") / "run")
    return folder, evaluate(config_of(*TASKS), folder)


@pytest.mark.parametrize("task", TASKS)
def test_json_says_how_its_numbers_came_about(evaluated, task):
    folder, results = evaluated
    written = json.loads((folder / "eval" / f"{task}.json").read_text())
    assert written["task"] == task
    assert (written["step"], written["seed"], written["dataset"]) == (40, 0, "digits")
    samples = {"reconstruction": 100, "fd_classifier": 120, "chains": 80}[task]
    assert written["num_samples"] == samples
    assert "averaged weights" in written["protocol"]
    assert written["settings"]["sampler"]["prior"]["num_steps"] == 5
    assert written["seconds"] >= 0
    assert json.loads(json.dumps(results[task])).keys() == written.keys()
    for figure in written["figures"]:
        assert (folder / "eval" / figure).stat().st_size > 0


def test_fd_classifier_has_its_three_numbers(evaluated):
    result = evaluated[1]["fd_classifier"]
    for kind in ("gaussian_prior", "ebm_prior", "reconstruction"):
        assert result[kind] > 0


def test_report_is_written(evaluated):
    assert "fd_classifier" in (evaluated[0] / "report.html").read_text()


@pytest.fixture
def runs(workdir, monkeypatch):
    """The runs of the task `reconstruction`, which then costs nothing."""
    done = []
    able = SimpleNamespace(name="fake", reconstruct=True)
    opened = Context(None, able, None, 40, workdir / "eval", DIGITS, None, lambda: None)
    stub = lambda context: done.append(context.step) or {"results": {"x": 1.0}}  # noqa: E731
    monkeypatch.setitem(evaluation.TASKS, "reconstruction", stub)
    monkeypatch.setattr(evaluation, "open_context", lambda *_: opened)
    monkeypatch.setattr(evaluation, "write_report", lambda folder: None)
    return done


def test_finished_tasks_are_skipped_unless_asked_for_again(workdir, runs):
    first = evaluate(config_of("reconstruction"), workdir, again=False)
    second = evaluate(config_of("reconstruction"), workdir, again=False)
    assert runs == [40]
    assert json.loads(json.dumps(second)) == json.loads(json.dumps(first))
    evaluate(config_of("reconstruction"), workdir, again=True)
    assert runs == [40, 40]


def test_interrupted_evaluation_goes_on_where_it_stopped(workdir, runs, monkeypatch):
    """The same command does not repeat the tasks it has done, and once it has ended it does."""

    def interrupted(context):
        raise PreemptedError("SIGTERM")

    monkeypatch.setitem(evaluation.TASKS, "chains", interrupted)
    with pytest.raises(PreemptedError):
        evaluate(config_of("reconstruction", "chains"), workdir)
    assert runs == [40]
    monkeypatch.setitem(evaluation.TASKS, "chains", lambda context: {"results": {"y": 2.0}})
    evaluate(config_of("reconstruction", "chains"), workdir)
    assert runs == [40]
    evaluate(config_of("reconstruction", "chains"), workdir)
    assert runs == [40, 40]


@pytest.mark.parametrize(
    "key, value",
    [("eval.num_samples", 119), ("sampler.prior.num_steps", 6), ("seed", 1)],
)
def test_other_settings_are_another_evaluation(workdir, runs, capsys, key, value):
    evaluate(config_of("reconstruction"), workdir, again=False)
    config = config_of("reconstruction")
    config.update_from_flattened_dict({key: value})
    capsys.readouterr()
    evaluate(config, workdir, again=False)
    assert runs == [40, 40]
    told = "evaluating reconstruction … (in the place of a result with other settings)\n"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_unreadable_result_is_made_again(workdir, runs, content):
    (workdir / "eval").mkdir()
    (workdir / "eval" / "reconstruction.json").write_text(content)
    evaluate(config_of("reconstruction"), workdir, again=False)
    assert runs == [40]


def test_unknown_task(workdir):
    with pytest.raises(ConfigError, match="eval.tasks names 'fib'; known tasks: anomaly, chains, "):
        evaluate(config_of("fib"), workdir)


def test_no_checkpoint(tmp_path):
    with pytest.raises(ConfigError, match="there is no checkpoint in .*train first"):
        evaluate(config_of("reconstruction"), tmp_path)


def test_no_readable_checkpoint(workdir):
    for file in (workdir / "checkpoints").rglob("manifest.ocdbt"):
        file.unlink()
    before = sorted(workdir.rglob("*"))
    with pytest.raises(ConfigError, match="none of the checkpoints in .* can be read"):
        evaluate(config_of("reconstruction"), workdir)
    assert sorted(workdir.rglob("*")) == before


def test_other_model_than_the_checkpoints(workdir):
    config = config_of("reconstruction")
    config.model.latent_sizes = (4, 3)
    with pytest.raises(ConfigError, match="holds a run with other settings .model.latent_sizes"):
        evaluate(config, workdir)


def test_signal_between_chunks(workdir):
    class Signalled:
        requested = "SIGINT"

    with pytest.raises(PreemptedError, match="SIGINT received during the evaluation"):
        evaluate(config_of("reconstruction"), workdir, Signalled())
    assert not (workdir / "eval" / "reconstruction.json").exists()


def test_evaluation_holds_one_chunk_of_samples(monkeypatch, workdir):
    """The images of all chunks but the current one are gone, whatever the number of samples."""
    config = config_of("fd_classifier", "reconstruction", "chains")
    config.eval.batch_size, config.eval.grid = 50, 4
    config.eval.num_samples = config.eval.long_chain_samples = 400
    drawn, alive = [], []
    to_chunks = context_of.sample_chunks

    class Tracked(np.ndarray):  # plain arrays cannot be referred to weakly
        pass

    def tracked(*arguments, **options):
        for chunk in to_chunks(*arguments, **options):
            images = chunk.images.view(Tracked)
            drawn.append(weakref.ref(images))
            alive.append(sum(reference() is not None for reference in drawn))
            yield chunk._replace(images=images)
            del chunk, images

    for module in (context_of, chains):
        monkeypatch.setattr(module, "sample_chunks", tracked)
    evaluate(config, workdir)
    assert len(alive) == 4 * 8  # two sets of samples, two lengths of chains
    assert max(alive) <= 3  # the current chunk, the one before, and the grid's


def test_nothing_to_evaluate(workdir):
    with pytest.raises(ConfigError, match="eval.tasks is empty; name some of: anomaly, chains"):
        evaluate(config_of(), workdir)
    assert evaluate(config_of(), workdir, again=False) == {}  # the end of a training run
