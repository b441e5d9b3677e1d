"""Shards: made once, bit-exact, and made again when damaged or of something else."""

import jax
import numpy as np
import pytest

from ebm_jax.evaluation import shards
from ebm_jax.evaluation.shards import digest_of, resumable
from tests.evaluation.untrained import context_of


class Maker:
    """Counts what is made; can be told to fail at a chunk."""

    def __init__(self, fail_at=None):
        self.made, self.fail_at = [], fail_at

    def __call__(self, k):
        if k == self.fail_at:
            raise KeyboardInterrupt
        self.made.append(k)
        return {"x": np.random.default_rng(k).normal(size=(3, 2)).astype(np.float32), "k": k}


def run(folder, maker, guard="g", count=4):
    return list(resumable(folder, guard, count, maker))


def assert_same(a, b):
    assert len(a) == len(b)
    for one, other in zip(a, b, strict=True):
        assert one.keys() == other.keys()
        for name in one:
            assert one[name].dtype == other[name].dtype
            np.testing.assert_array_equal(one[name], other[name])


def test_killed_and_run_again(tmp_path):
    whole = run(tmp_path / "whole", Maker())
    first, second = Maker(fail_at=2), Maker()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "s", first)
    assert_same(run(tmp_path / "s", second), whole)
    assert (first.made, second.made) == ([0, 1], [2, 3])
    third = Maker()
    assert_same(run(tmp_path / "s", third), whole)
    assert third.made == []


def test_long_work_tells_how_far_it_is(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(shards, "_QUIET", -1.0)
    run(tmp_path / "fid", Maker(), count=3)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ETA ")[0] for line in lines] == [
        "  chunk 1 of 3 of fid",
        "  chunk 2 of 3 of fid",
    ]
    run(tmp_path / "fid", Maker(), count=3)  # read, not made: nothing to foretell from
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("damage", ["truncated", "empty", "flipped", "garbage", "foreign", "gone"])
def test_damaged_shard_is_made_again(tmp_path, damage):
    whole = run(tmp_path, Maker())
    path = tmp_path / "00001.npz"
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "foreign":
        np.savez(path, x=np.zeros(3))
    else:
        place = content.index(whole[1]["x"].tobytes())
        content[place] ^= 0xFF
        path.write_bytes(
            {"truncated": content[:-40], "empty": b"", "flipped": content}.get(damage, b"no" * 99)
        )
    again = Maker()
    assert_same(run(tmp_path, again), whole)
    assert again.made == [1]
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{k:05d}.npz" for k in range(4)]


def test_process_0_decides_which_shards_count(tmp_path, monkeypatch):
    """Another process's own network gives it another guard: it must not compute alone."""
    whole = run(tmp_path, Maker(), guard="of process 0")
    monkeypatch.setattr(shards.parallel, "from_primary", lambda value: np.asarray(True))
    maker = Maker()
    assert_same(run(tmp_path, maker, guard="of process 1"), whole)
    assert maker.made == []


def test_other_guard_is_another_evaluation(tmp_path):
    run(tmp_path, Maker(), guard="a")
    again = Maker()
    run(tmp_path, again, guard="b")
    assert again.made == [0, 1, 2, 3]


def test_digest_is_of_all_that_numbers_depend_on(tmp_path):
    context = context_of(tmp_path)
    digests = {digest_of(context, kind="a")}
    others = [
        digest_of(context, kind="b"),
        digest_of(context._replace(step=1), kind="a"),
        digest_of(context_of(tmp_path, num_samples=121), kind="a"),
    ]
    context.config.seed = 1
    others.append(digest_of(context, kind="a"))
    context.config.seed = 0
    context.config.sampler.prior.num_steps += 1
    others.append(digest_of(context, kind="a"))
    context.config.sampler.prior.num_steps -= 1
    digests.update(others)
    assert len(digests) == 1 + len(others)
    context.config.eval.tasks = ("fid",)
    assert digest_of(context, kind="a") in digests - set(others)


def test_digest_is_of_the_weights(tmp_path):
    context = context_of(tmp_path)
    moved = jax.tree.map(lambda leaf: np.asarray(leaf) * (1 + 1e-6), context.state)
    assert digest_of(context._replace(state=moved)) != digest_of(context)


def test_removed_with_its_task(tmp_path):
    context = context_of(tmp_path)
    for task in ("a", "b"):
        run(shards.folder_of(context, task, "x"), Maker())
    shards.remove(context, "a")
    assert [path.name for path in (tmp_path / "shards").iterdir()] == ["b"]
    shards.remove(context, "b")
    assert not (tmp_path / "shards").exists()
    shards.remove(context, "b")
