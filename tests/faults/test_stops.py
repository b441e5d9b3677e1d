"""Runs that are killed or stopped, and then run again.

As everywhere in this folder, every test compares with one uninterrupted run of the same command:
the exported parameters and metrics.jsonl, but for the times, must be the same bytes.
"""

import random
import shutil
import signal
import time

import jax
import pytest

from configs import digits_hat
from ebm_jax import data, methods
from ebm_jax.checkpoint import Checkpointer
from ebm_jax.training_step import init_loop_state
from tests.faults.commands import STEPS, Process, assert_one_sentence, complete, whole
from tests.test_train import assert_same_run, log_of
from tests.test_training_step import assert_equal

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]

HAT = "configs/digits_hat.py:quick"


def test_killed_at_three_random_moments(tmp_path):
    rng = random.Random(0)
    for low in (20, 100, 190):
        process = Process(tmp_path)
        process.until_step(rng.randint(low, low + 80))
        time.sleep(rng.uniform(0, 0.2))
        process.process.send_signal(signal.SIGKILL)
        assert process.end()[0] == -signal.SIGKILL
    output, _ = complete(tmp_path)
    assert "resuming from step" in output
    assert_same_run(tmp_path, whole())
    assert len({row["step"] for row in log_of(tmp_path)}) == len(log_of(tmp_path)) == STEPS // 5


def last_state(workdir, module):
    """The newest checkpoint of a `:quick` run on digits."""
    c = module.get_config("quick")
    dataset = data.open_dataset(c.data, "train")
    c.data.num_examples = dataset.num_examples
    batch = data.make_batch(dataset, c.data, 0, 0)
    like = jax.device_get(init_loop_state(methods.build(c), batch, jax.random.key(c.seed)))
    return Checkpointer(workdir, read_only=True).restore(like)


def test_killed_run_with_a_bank_ends_with_its_bytes(tmp_path):
    """Hat EBM's: pairs of many steps ago are part of what the next step does."""
    settings = dict(
        config="configs/digits_hat.py:quick", train__num_steps=120, eval__tasks="('residual',)"
    )
    complete(tmp_path / "whole", **settings)
    process = Process(tmp_path / "killed", **settings)
    process.until_step(random.Random(3).randint(45, 90))
    process.process.send_signal(signal.SIGKILL)
    assert process.end()[0] == -signal.SIGKILL
    output, _ = complete(tmp_path / "killed", **settings)
    assert "resuming from step" in output
    assert_same_run(tmp_path / "killed", tmp_path / "whole")
    (step, killed), (_, uninterrupted) = (
        last_state(tmp_path / name, digits_hat) for name in ("killed", "whole")
    )
    assert step == 120 and killed.train.extra["training"]["bank"].x.shape[0] == 200
    assert_equal(killed, uninterrupted)


def test_stopped_while_training(tmp_path):
    process = Process(tmp_path)
    process.until_step(random.Random(1).randint(20, 200))
    process.process.terminate()
    code, errors = process.end()
    assert code == 75
    assert_one_sentence(errors, "SIGTERM received: step ", "run the same command again to go on")
    assert not (tmp_path / "export").exists()
    complete(tmp_path)
    assert_same_run(tmp_path, whole())


def test_stopped_while_evaluating(tmp_path):
    shutil.copytree(whole(), tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "eval")
    settings = {
        "eval__tasks": "('reconstruction','chains')",
        "eval__long_chain_samples": 1000,
        "eval__batch_size": 10,
    }
    process = Process(tmp_path, **settings)
    process.until_printed("evaluating chains")
    process.process.terminate()
    code, errors = process.end()
    assert code == 75
    assert_one_sentence(
        errors, "SIGTERM received during the evaluation; finished tasks and chunks are kept"
    )
    assert {path.name for path in (tmp_path / "eval").glob("*.json")} == {"reconstruction.json"}
    output, _ = complete(tmp_path, **settings)
    assert "evaluating chains" in output and "evaluating reconstruction" not in output
    assert (tmp_path / "eval" / "chains.json").exists()
