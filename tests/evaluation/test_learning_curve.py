"""Task `learning_curve`: every checkpoint's samples are those of its own weights."""

import shutil

import numpy as np
import pytest

from ebm_jax.evaluate import evaluate, open_context
from ebm_jax.evaluation import fid_task, generation, learning_curve, yardstick
from ebm_jax.evaluation.inception.network import shapes
from tests.evaluation.inception.conftest import made_up
from tests.test_train import tiny_config, trained_workdir


@pytest.fixture
def config():
    c = tiny_config()
    c.eval.tasks = ("learning_curve",)
    c.eval.last_checkpoints = 3
    return c


def test_last_point_is_the_task_fd_classifiers(config, tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    config.eval.tasks = ("learning_curve", "fd_classifier")
    found = evaluate(config, folder)
    curves = found["learning_curve"]["curves"]
    assert set(curves) == {"gaussian_prior", "ebm_prior"}
    for kind, curve in curves.items():
        assert list(curve) == ["20", "30", "40"]
        assert curve["40"] == pytest.approx(found["fd_classifier"][kind], rel=1e-6)
        assert len(set(curve.values())) == 3
        assert found["learning_curve"]["results"][f"{kind}@20"] == curve["20"]
    assert found["learning_curve"]["metric"] == "fd_classifier"
    assert (folder / "eval" / "learning_curve.png").stat().st_size > 1_000
    assert "EBM prior@40" in (folder / "report.html").read_text()


def test_unlabelled_images_are_measured_by_fid(config, tmp_path, monkeypatch):
    np.savez(tmp_path / "inception.npz", **made_up(shapes(["64"])))
    monkeypatch.setenv("EBM_JAX_INCEPTION", str(tmp_path / "inception.npz"))
    monkeypatch.setenv("EBM_JAX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(yardstick, "is_judged", lambda dataset: False)
    config.eval.update(num_samples=80, fid_features=64, fid_reference=90, last_checkpoints=1)
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    context = open_context(config, folder)
    context.folder.mkdir(exist_ok=True)
    found, expected = learning_curve.run(context), fid_task.run(context)
    assert found["metric"] == expected["metric"] == "fid64_n80_train90_clean"
    for kind in ("gaussian_prior", "ebm_prior"):
        assert found["curves"][kind]["40"] == pytest.approx(expected[kind], rel=1e-6)


def test_earlier_points_are_of_their_own_weights(config, tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    context = open_context(config, folder)
    context.folder.mkdir(exist_ok=True)
    curves = learning_curve.run(context)["curves"]
    step, state = context.before(30)
    earlier = context._replace(step=step, state=state)
    chunks = generation.image_chunks(earlier, "samples", config.eval.num_samples, prior="gaussian")
    judge = generation.judge_of(context)
    expected = generation.distance(judge, chunks, (-1.0, 1.0))
    assert curves["gaussian_prior"][str(step)] == pytest.approx(expected, rel=1e-6)
    assert np.isfinite(expected)
