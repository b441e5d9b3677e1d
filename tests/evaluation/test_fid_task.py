"""Task `fid`: its JSON, its reference, killed and run again; the network's weights are made up."""

import numpy as np
import pytest

from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation import fid_task
from ebm_jax.evaluation.fid_protocol import fid
from ebm_jax.evaluation.frechet import moments
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.inception.network import shapes
from tests.evaluation.inception.conftest import made_up
from tests.evaluation.untrained import Counting, Killed, context_of, killing

MEASURES = {"kid", "kid_std", "precision", "recall"}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.npz"
    np.savez(path, **made_up(shapes(["64"])))
    return path


@pytest.fixture(autouse=True)
def places(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("EBM_JAX_INCEPTION", str(weights))
    monkeypatch.setenv("EBM_JAX_CACHE", str(tmp_path / "cache"))


def settings(folder, **others):
    defaults = dict(
        num_samples=80, batch_size=40, grid=9, fid_features=64, fid_reference=90, tasks=("fid",)
    )
    return context_of(folder, **defaults | others)


@pytest.fixture(scope="module")
def in_one_go(weights, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EBM_JAX_INCEPTION", str(weights))
        patch.setenv("EBM_JAX_CACHE", str(tmp_path_factory.mktemp("cache")))
        folder = tmp_path_factory.mktemp("whole") / "eval"
        return folder, fid_task.run(settings(folder))


def test_json(in_one_go):
    folder, result = in_one_go
    assert result["metric"] == "fid64_n80_train90_clean"
    for kind in ("gaussian_prior", "ebm_prior", "reconstruction"):
        assert result[kind] > 0
        assert result.keys() >= MEASURES and set(result["kid"]) == set(result["recall"])
        assert 0 <= result["precision"][kind] <= 1
    assert "inception_score" not in result  # the file has no logits
    assert (result["num_samples"], result["num_reference"]) == (80, 90)
    for words in (
        "64 features",
        "resize clean",
        "80 samples",
        "90 of 1438",
        "by 5 Langevin steps of",
    ):
        assert words in result["protocol"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(result["figures"])


def test_numbers_are_those_of_the_images(in_one_go, tmp_path):
    """Reconstructions again, by the parts: features, moments, distance."""
    from ebm_jax import data
    from ebm_jax.evaluation.context import reconstruction_chunks

    context = settings(tmp_path)
    order = np.random.default_rng(0).permutation(1438)[:90]
    extractor = open_extractor(["64"])
    reference = moments(extractor(context.train_set.fetch(order)[0])["64"])
    chunks = reconstruction_chunks(context, context.train_set, "floor", 80)
    restored = np.concatenate([data.to_uint8(images, (-1, 1)) for _, images in chunks])
    expected = fid(moments(extractor(restored)["64"]), reference)
    assert in_one_go[1]["reconstruction"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("chunk", [1, 4, 8])
def test_killed_and_run_again_gives_the_same_numbers(in_one_go, tmp_path, chunk):
    """Killed in the reference (3 chunks), in the samples, in the reconstructions (2 each)."""
    with pytest.raises(Killed):
        fid_task.run(settings(tmp_path / "eval", poll=killing(chunk)))
    counting = Counting(settings(tmp_path / "eval"))
    assert fid_task.run(counting.context) == in_one_go[1]
    assert counting.drawn == 4 - min(max(chunk - 3, 0), 4)
    assert not (tmp_path / "eval" / "shards").exists()


def test_reference_is_cached_by_what_it_is_of(tmp_path):
    polls = []
    folder = tmp_path / "eval"
    fid_task.run(settings(folder, poll=lambda: polls.append(0)))
    assert len(polls) == 3 + 3 * 2
    fid_task.run(settings(folder, poll=lambda: polls.append(0)))
    assert len(polls) == 9 + 6  # no reference
    fid_task.run(settings(folder, poll=lambda: polls.append(0), fid_resize="legacy"))
    assert len(polls) == 15 + 9
    (path,) = (tmp_path / "cache" / "reference").glob("*-clean-*.npz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(UserWarning, match="is computed again"):
        fid_task.run(settings(folder, poll=lambda: polls.append(0)))
    assert len(polls) == 24 + 9


@pytest.mark.parametrize(
    "changes, kind, message",
    [
        (dict(fid_features=100), ConfigError, "eval.fid_features is 100; use one of: 64, 192"),
        (dict(num_samples=60), ConfigError, "needs at least 65 samples .*got 60"),
        (dict(fid_reference=64), ConfigError, "at least 65 training images and .*got 64"),
        (dict(fid_resize="best"), ConfigError, "resize mode is 'best'"),
        (dict(fid_features=192, num_samples=200, fid_reference=200), DataError, "have no conv_3"),
    ],
)
def test_refused_before_anything_is_drawn(tmp_path, changes, kind, message):
    context = settings(tmp_path, **changes)
    fid_task.check(settings(tmp_path).config, context.train_set)
    with pytest.raises(kind, match=message):
        fid_task.check(context.config, context.train_set)


def test_no_weights(tmp_path, monkeypatch):
    monkeypatch.delenv("EBM_JAX_INCEPTION")
    with pytest.raises(DataError, match="there is no file of Inception weights"):
        fid_task.run(settings(tmp_path))
