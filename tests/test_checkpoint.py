"""Checkpoints: exact round trips, damaged ones set aside, mismatches named, nothing lost."""

import ml_dtypes
import numpy as np
import pytest

from ebm_jax.checkpoint import Checkpointer
from ebm_jax.errors import ConfigError


def state_of(step):
    rng = np.random.default_rng(step)
    return {
        "params": {"w": rng.normal(size=(64, 33)).astype(np.float32)},
        "half": rng.normal(size=(5,)).astype(ml_dtypes.bfloat16),
        "count": np.asarray(step, np.int32),
        "flags": np.array([True, False]),
        "key": np.array([1, 2**32 - 1], np.uint32),
        "odd": np.array([np.nan, -0.0, np.inf, 1e-45], np.float32),
        "empty": {},
    }


def saved(folder, *steps, keep=3):
    checkpointer = Checkpointer(folder, keep)
    for step in steps:
        checkpointer.save(step, state_of(step))
    checkpointer.close()
    return folder


def assert_is(found, step):
    assert found is not None
    got, state = found
    expected = state_of(step)
    assert got == step
    assert state.keys() == expected.keys()
    for name in expected.keys() - {"params", "empty"}:
        assert state[name].dtype == expected[name].dtype
        assert state[name].tobytes() == expected[name].tobytes(), name
    assert state["params"]["w"].tobytes() == expected["params"]["w"].tobytes()


def test_round_trip_is_exact(tmp_path):
    saved(tmp_path, 7)
    assert_is(Checkpointer(tmp_path).restore(state_of(0)), 7)


def test_no_checkpoint(tmp_path):
    assert Checkpointer(tmp_path).restore(state_of(0)) is None


def test_newest_are_kept(tmp_path):
    saved(tmp_path, 1, 2, 3, 4, 5, keep=2)
    checkpointer = Checkpointer(tmp_path, keep=2)
    assert checkpointer.steps() == [4, 5]
    assert_is(checkpointer.restore(state_of(0)), 5)


def test_saved_steps_are_not_written_again(tmp_path):
    saved(tmp_path, 3)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(3, state_of(9))
    checkpointer.close()
    assert_is(Checkpointer(tmp_path).restore(state_of(0)), 3)


def test_state_may_change_while_it_is_written(tmp_path):
    state = state_of(1)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.save(1, {**state, "params": {"w": state["params"]["w"].copy()}})
    state["params"]["w"] += 1
    checkpointer.close()
    assert_is(Checkpointer(tmp_path).restore(state), 1)


FILES = [
    "_CHECKPOINT_METADATA",
    "shapes/metadata",
    "state/_METADATA",
    "state/manifest.ocdbt",
    "state/d/*",
    "state/ocdbt.process_0/manifest.ocdbt",
    "state/ocdbt.process_0/d/*",
]
# Orbax can do without some of these; then what it restores must be right all the same.
REDUNDANT = {"_CHECKPOINT_METADATA", "state/_METADATA", "state/ocdbt.process_0/manifest.ocdbt"}


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "truncated": truncate,
    "emptied": lambda path: path.write_bytes(b""),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("pattern", FILES)
def test_damaged_newest_checkpoint(tmp_path, pattern, damage, recwarn):
    saved(tmp_path, 1, 2)
    files = list((tmp_path / "checkpoints" / "2").glob(pattern))
    assert files
    for file in files:
        DAMAGES[damage](file)
    checkpointer = Checkpointer(tmp_path)
    found = checkpointer.restore(state_of(0))
    warned = [str(w.message) for w in recwarn if "cannot be read" in str(w.message)]
    if pattern in REDUNDANT and not warned:
        assert_is(found, 2)
        return
    assert_is(found, 1)
    assert len(warned) == 1 and "the checkpoint of step 2" in warned[0]
    assert "; that of step 1 is used." in warned[0]
    assert checkpointer.steps() == [1]
    assert (tmp_path / "checkpoints_unreadable" / "2").is_dir()
    checkpointer.save(2, state_of(2))  # its step can be saved again
    checkpointer.close()
    assert_is(Checkpointer(tmp_path).restore(state_of(0)), 2)


def test_reading_alone_moves_nothing(tmp_path):
    saved(tmp_path, 1, 2)
    (tmp_path / "checkpoints" / "2" / "state" / "manifest.ocdbt").unlink()
    before = sorted(tmp_path.rglob("*"))
    with pytest.warns(UserWarning, match="step 2 .* cannot be read"):
        assert_is(Checkpointer(tmp_path, read_only=True).restore(state_of(0)), 1)
    assert sorted(tmp_path.rglob("*")) == before


def test_unfinished_checkpoint_is_ignored(tmp_path):
    """What kill -9 leaves of a checkpoint that was being written."""
    saved(tmp_path, 1, 2)
    folder = tmp_path / "checkpoints"
    (folder / "2").rename(folder / "2.orbax-checkpoint-tmp-17")
    checkpointer = Checkpointer(tmp_path)
    assert_is(checkpointer.restore(state_of(0)), 1)
    checkpointer.save(2, state_of(2))
    checkpointer.close()
    assert_is(Checkpointer(tmp_path).restore(state_of(0)), 2)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            {"params": {"w": np.zeros((64, 34), np.float32)}},
            r"params/w is float32\[64, 33\] in the checkpoint and float32\[64, 34\] by the config",
        ),
        ({"count": np.float32(0)}, r"count is int32\[\] in the checkpoint and float32\[\] by"),
        ({"more": np.zeros(1)}, r"more is absent in the checkpoint and float64\[1\] by the config"),
    ],
)
def test_shapes_that_do_not_fit(tmp_path, change, message):
    saved(tmp_path, 1, 2)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match=f"step 2 .*{message}.*another --workdir"):
        Checkpointer(tmp_path).restore(state_of(0) | change)
    assert sorted(tmp_path.rglob("*")) == before


def test_forget_after(tmp_path):
    saved(tmp_path, 1, 2, 3)
    checkpointer = Checkpointer(tmp_path)
    checkpointer.forget_after(1)
    assert checkpointer.steps() == [1]
    checkpointer.save(2, state_of(20))
    checkpointer.close()
    assert Checkpointer(tmp_path).restore(state_of(0))[1]["count"] == 20


def test_refused_checkpoints_are_passed_over_and_kept(tmp_path):
    saved(tmp_path, 1, 2, 3)
    checkpointer = Checkpointer(tmp_path)
    assert_is(checkpointer.restore(state_of(0), accept=lambda s: s["count"] < 3), 2)
    assert checkpointer.restore(state_of(0), accept=lambda s: False) is None
    assert checkpointer.steps() == [1, 2, 3]


def test_folder_that_cannot_be_written(tmp_path):
    saved(tmp_path, 1)
    checkpointer = Checkpointer(tmp_path)
    folder = tmp_path / "checkpoints"
    folder.rename(tmp_path / "elsewhere")
    folder.write_text("a file in the way")
    with pytest.raises(ConfigError, match="cannot write .*free some space or make the folder"):
        checkpointer.save(2, state_of(2))  # at once: Orbax would wait for five minutes
