"""Updates that are no numbers, now and then or for good."""

import pytest

from ebm_jax.checkpoint import Checkpointer
from ebm_jax.reporting.writers import read_metrics
from tests.faults.commands import SMALL, Process, assert_one_sentence, complete, whole
from tests.test_train import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


def test_diverged_beyond_recovery(tmp_path):
    """An absurd learning rate of the energies, from the first step on."""
    process = Process(
        tmp_path,
        train__warmup_steps=10,
        optim__energy__joint_learning_rate=1e6,
        stability__max_skipped=10,
        stability__energy_backoff=0.9,
    )
    code, errors = process.end()
    assert code == 4, errors
    assert_one_sentence(
        errors, "training diverged at step ", "after 3 roll-backs", "lower joint_learning_rate"
    )
    for number in (1, 2, 3):
        assert f"(roll-back {number} of 3)" in errors
    assert max(row["train/skipped"] for row in read_metrics(tmp_path)) >= 10
    output, errors = complete(tmp_path, train__num_steps=5)
    assert "cannot be read" not in errors  # the good checkpoint serves a tamer run


def test_one_batch_of_nan_is_skipped_and_counted(tmp_path):
    _, errors = complete(tmp_path, f"{SMALL}:nan=32-32")
    assert "rolling back" not in errors
    rows = read_metrics(tmp_path)
    assert {row["step"]: row["train/skipped"] for row in rows if row["step"] in (30, 35, 60)} == {
        30: 0,
        35: 1,
        60: 1,
    }
    assert all(value is not None for row in rows for value in row.values())


def test_nan_for_good_ends_the_run_and_keeps_its_checkpoints(tmp_path):
    settings = dict(stability__max_skipped=5, stability__max_rollbacks=2)
    process = Process(tmp_path, f"{SMALL}:nan=32-60", **settings)
    code, errors = process.end()
    assert code == 4, errors
    assert_one_sentence(errors, "training diverged at step ", "not finite", "after 2 roll-backs")
    assert "rolling back to step 30 " in errors and "(roll-back 2 of 2)" in errors
    assert max(Checkpointer(tmp_path, read_only=True).steps()) == 30
    output, errors = complete(tmp_path, SMALL, **settings)  # the batches are sound again
    assert "resuming from step 30" in output and "cannot be read" not in errors
    assert_same_run(tmp_path, whole(SMALL))
