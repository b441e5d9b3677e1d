"""Image sets, and `fd_classifier` killed half-way and run again."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.evaluation import generation
from ebm_jax.evaluation.context import image_chunks, reconstruction_chunks
from tests.evaluation.untrained import Counting, Killed, context_of, killing

CHUNKS = 5  # of each set, below


def settings(folder, **others):
    return context_of(folder, num_samples=290, batch_size=60, grid=80, **others)


def test_chunks_can_be_made_alone(tmp_path):
    context = settings(tmp_path)
    whole = list(image_chunks(context, "samples", 290, prior="ebm"))
    assert [len(chunk) for chunk in whole] == [60, 60, 60, 60, 50]
    for k in (1, 4):
        alone = list(image_chunks(context, "samples", 290, prior="ebm", skip=k))
        assert len(alone) == CHUNKS - k
        np.testing.assert_array_equal(alone[0], whole[k])


def test_reconstructions_can_be_made_alone(tmp_path):
    context = settings(tmp_path)
    whole = list(reconstruction_chunks(context, context.eval_set, "floor", 290))
    originals = np.concatenate([images for images, _ in whole])
    pixels, _ = context.eval_set.fetch(np.arange(290))
    np.testing.assert_allclose(originals, pixels / 127.5 - 1, atol=1e-6)
    (images, restored), *rest = reconstruction_chunks(
        context, context.eval_set, "floor", 290, skip=3
    )
    assert [len(images) for images, _ in rest] == [50]
    np.testing.assert_array_equal(images, originals[180:240])
    np.testing.assert_array_equal(restored, whole[3][1])
    total = list(reconstruction_chunks(context, context.eval_set, "floor"))
    assert sum(len(images) for images, _ in total) == context.eval_set.num_examples == 359


def test_the_three_sets(tmp_path):
    context = settings(tmp_path)
    sets = generation.image_sets(context)
    assert {kind: images.count for kind, images in sets.items()} == dict.fromkeys(
        generation.KINDS, 290
    )
    without = context._replace(method=context.method._replace(has_energy=False))
    assert list(generation.image_sets(without)) == ["gaussian_prior", "reconstruction"]
    few = generation.image_sets(context_of(tmp_path, num_samples=5000))
    assert few["reconstruction"].count == 1438


def test_samples_are_drawn_after_recalibration_and_reconstructions_are_not(tmp_path):
    context = settings(tmp_path, recalibration_batches=7)
    calls = []

    def recalibrate(state, key, num_batches):
        calls.append(num_batches)
        params = jax.tree.map(jnp.zeros_like, state.params)
        return state._replace(params=params)

    context = context._replace(method=context.method._replace(recalibrate=recalibrate))
    sets = generation.image_sets(context)
    assert calls == [7]
    plain = generation.image_sets(settings(tmp_path))
    assert np.ptp(next(sets["gaussian_prior"].chunks(0))) == 0.0  # all parameters are 0
    assert np.ptp(next(plain["gaussian_prior"].chunks(0))) > 0.1
    a, b = (next(found["reconstruction"].chunks(0)) for found in (sets, plain))
    np.testing.assert_array_equal(a, b)
    words = generation.set_words(context, sets)
    assert "samples: batch normalisation by statistics of 7 batches of them" in words


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "eval"
    return folder, generation.run(settings(folder))


def test_nothing_is_left_behind(in_one_go):
    folder, result = in_one_go
    assert sorted(path.name for path in folder.iterdir()) == sorted(result["figures"])
    assert result["num_samples"] == result["num_reconstructions"] == 290


@pytest.mark.parametrize("chunk", [3, 7, 13])
def test_killed_and_run_again_gives_the_same_number(in_one_go, tmp_path, chunk):
    """Killed in each of the sets; what was finished is not drawn again."""
    folder, whole = in_one_go
    with pytest.raises(Killed):
        generation.run(settings(tmp_path, poll=killing(chunk)))
    kept = sorted(path.name for path in (tmp_path / "shards" / "fd_classifier").rglob("*.npz"))
    assert len(kept) == chunk
    counting = Counting(settings(tmp_path))
    assert generation.run(counting.context) == whole
    assert counting.drawn == max(2 * CHUNKS - chunk, 0)
    assert counting.restored == CHUNKS - max(chunk - 2 * CHUNKS, 0)
    assert not (tmp_path / "shards").exists()
    for figure in whole["figures"]:
        assert (tmp_path / figure).read_bytes() == (folder / figure).read_bytes()


def test_shards_of_another_checkpoint_are_not_used(tmp_path):
    with pytest.raises(Killed):
        generation.run(settings(tmp_path, poll=killing(3)))
    counting = Counting(settings(tmp_path, step=7))
    generation.run(counting.context)
    assert counting.drawn == 2 * CHUNKS


def test_blown_up_samples_are_not_a_number(tmp_path):
    """One image of one chunk is not finite: the whole set has no distance, the others have."""
    context = settings(tmp_path)

    def sample(*arguments, prior, start, **options):
        found = context.method.sample(*arguments, prior=prior, start=start, **options)
        if prior == "ebm" and start == 60:
            return found._replace(
                images=np.where(np.arange(60).reshape(-1, 1, 1, 1) == 7, np.nan, found.images)
            )
        return found

    result = generation.run(context._replace(method=context.method._replace(sample=sample)))
    assert np.isnan(result["ebm_prior"])
    assert result["gaussian_prior"] > 0 and result["reconstruction"] > 0
