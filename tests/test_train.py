"""train(): stopped, killed or extended, a run ends with the bytes of an uninterrupted one.

Also what the tests of the loop share: a tiny config and one run of it.
"""

import atexit
import functools
import json
import shutil
import tempfile
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import digits_joint
from ebm_jax import methods, snapshots, training_step
from ebm_jax import train as loop
from ebm_jax.checkpoint import Checkpointer
from ebm_jax.errors import ConfigError, DivergedError, PreemptedError
from ebm_jax.reporting.writers import read_metrics
from ebm_jax.train import train
from ebm_jax.training_step import init_loop_state
from tests.test_training_step import BATCH, assert_equal, toy_method


def tiny_config():
    """The joint method with small nets and short chains; 40 steps, a checkpoint every 10."""
    c = digits_joint.get_config("quick")
    c.data.batch_size = 16
    c.model.latent_sizes = (4, 2)
    c.model.generator.hidden = (16,)
    c.model.prior.hidden = (8,)
    c.model.energy.hidden = (8,)
    c.model.inference.hidden = (16,)
    c.model.inference.latent_hidden = (8,)
    c.sampler.prior.num_steps = 5
    c.sampler.posterior.num_steps = 5
    c.train.num_steps = 40
    c.train.warmup_steps = 15
    c.train.log_every = c.train.checkpoint_every = 10
    c.train.image_every = 40
    c.eval.num_samples = 120
    c.eval.batch_size = 60
    c.eval.long_chain_steps = 25
    c.eval.long_chain_samples = 80
    return c


@functools.cache
def trained_workdir():
    """The workdir of one uninterrupted run of `tiny_config`, made once; copy before writing."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:  # the real parts, whatever the asking test patched
        patch.setattr(loop, "build_step", training_step.build_step)
        patch.setattr(loop, "write_snapshot", snapshots.write_snapshot)
        train(tiny_config(), folder)
    return folder


def export_of(workdir):
    return (Path(workdir) / "export" / "params.msgpack").read_bytes()


def log_of(workdir):
    """metrics.jsonl without what depends on the clock."""
    return [
        {name: value for name, value in row.items() if not name.startswith("time/")}
        for row in read_metrics(workdir)
    ]


def assert_same_run(workdir, other):
    assert export_of(workdir) == export_of(other)
    assert log_of(workdir) == log_of(other)


class StopAt:
    """In place of a Preemption: a signal arrives during the given step."""

    def __init__(self, step):
        self.left = step

    @property
    def requested(self):
        self.left -= 1
        return "SIGTERM" if self.left <= 0 else None


class Killed(BaseException):
    """No handler of the loop's may save anything when this is raised."""


class KillAt(StopAt):
    @property
    def requested(self):
        if super().requested:
            raise Killed
        return None


@pytest.fixture
def no_pictures(monkeypatch):
    monkeypatch.setattr(loop, "write_snapshot", lambda *_: None)


def test_stopped_run_resumes_bit_equal(tmp_path, no_pictures):
    with pytest.raises(PreemptedError, match="SIGTERM received: step 23 is saved.*same command"):
        train(tiny_config(), tmp_path, StopAt(23))
    assert Checkpointer(tmp_path, read_only=True).steps()[-1] == 23
    assert [row["step"] for row in read_metrics(tmp_path)] == [10, 20]
    assert train(tiny_config(), tmp_path, StopAt(99)) == 40
    assert_same_run(tmp_path, trained_workdir())


def test_workdir_of_a_finished_run():
    workdir = trained_workdir()
    assert [row["step"] for row in read_metrics(workdir)] == [10, 20, 30, 40]
    assert Checkpointer(workdir, read_only=True).steps() == [20, 30, 40]
    assert {"prior_00000040.png", "reconstruction_00000040.png"} <= {
        path.name for path in (workdir / "samples").iterdir()
    }
    assert json.loads((workdir / "config.json").read_text())["config"]["train"]["num_steps"] == 40
    assert list((workdir / "tensorboard").iterdir())


# From here on the toy method: the loop knows methods by their interface alone.


@pytest.fixture
def toy(monkeypatch, no_pictures):
    """train() of the toy method; `spoil` as in `toy_method`."""
    spoil = [lambda state, metrics: metrics]
    monkeypatch.setattr(
        methods,
        "build",
        lambda config, axis_name=None: toy_method(axis_name, lambda *a: spoil[0](*a)),
    )

    def run(workdir, preemption=None, spoiled=None, **settings):
        spoil[0] = spoiled or (lambda state, metrics: metrics)
        config = tiny_config()
        config.update_from_flattened_dict({k.replace("__", "."): v for k, v in settings.items()})
        return train(config, workdir, preemption or StopAt(10**6))

    return run


def weights_of(workdir):
    like = jax.device_get(init_loop_state(toy_method(), BATCH, jax.random.key(0)))
    step, state = Checkpointer(workdir, read_only=True).restore(like)
    return step, state.train


def test_the_host_waits_for_the_devices(tmp_path, toy, monkeypatch):
    """`tests/test_lead.py` tells how often; that the loop tells it of every dispatch, this does."""
    steps = []

    class Lead:
        def __call__(self, state):
            steps.append(float(np.asarray(state.metrics["loss/total"].count).max()))

    monkeypatch.setattr(loop, "Lead", Lead)
    toy(tmp_path)
    assert steps == [float(1 + i % 10) for i in range(40)]  # a log line every 10 empties them


def test_killed_run_resumes_bit_equal(tmp_path, toy):
    toy(tmp_path / "whole")
    for step in (3, 17, 29):
        with pytest.raises(Killed):
            toy(tmp_path / str(step), KillAt(step))
        assert toy(tmp_path / str(step)) == 40
        assert_same_run(tmp_path / str(step), tmp_path / "whole")


def test_run_stopped_again_and_again_resumes_bit_equal(tmp_path, toy):
    toy(tmp_path / "whole")
    for _ in range(3):
        with pytest.raises(PreemptedError):
            toy(tmp_path / "run", StopAt(11))
    toy(tmp_path / "run")
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_stopped_at_the_last_step(tmp_path, toy):
    toy(tmp_path / "whole")
    with pytest.raises(PreemptedError, match="step 40 is saved"):
        toy(tmp_path / "run", StopAt(40))
    assert not (tmp_path / "run" / "export").exists()
    assert toy(tmp_path / "run") == 40
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_finished_run_is_not_trained_again(tmp_path, toy):
    toy(tmp_path)
    before, checkpoints = log_of(tmp_path), weights_of(tmp_path)
    assert toy(tmp_path, StopAt(1)) == 40
    assert log_of(tmp_path) == before
    assert_equal(weights_of(tmp_path), checkpoints)


def test_a_finished_run_is_not_made_shorter(tmp_path, toy):
    """Its record would say that weights of step 40 are of step 20."""
    toy(tmp_path)
    before = (tmp_path / "config.json").read_text()
    with pytest.raises(ConfigError, match="is at step 40, beyond train.num_steps 20; give 40 or"):
        toy(tmp_path, train__num_steps=20)
    assert (tmp_path / "config.json").read_text() == before


def test_log_every_that_does_not_divide_the_checkpoints(tmp_path, toy):
    toy(tmp_path / "whole", train__log_every=7)
    with pytest.raises(Killed):
        toy(tmp_path / "run", KillAt(26), train__log_every=7)
    toy(tmp_path / "run", train__log_every=7)
    assert_same_run(tmp_path / "run", tmp_path / "whole")
    assert [row["step"] for row in log_of(tmp_path / "run")] == [7, 14, 21, 28, 35, 40]


def test_extended_run_goes_on_as_if_it_had_been_longer(tmp_path, toy):
    toy(tmp_path / "whole")
    assert toy(tmp_path / "run", train__num_steps=20) == 20
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert toy(tmp_path / "run", train__num_steps=40) == 40
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_several_steps_in_one_dispatch(tmp_path, toy):
    toy(tmp_path / "one")
    toy(tmp_path / "five", train__steps_per_dispatch=5)
    (_, one), (_, five) = weights_of(tmp_path / "one"), weights_of(tmp_path / "five")
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), one, five)
    for a, b in zip(log_of(tmp_path / "one"), log_of(tmp_path / "five"), strict=True):
        assert a.keys() == b.keys() and a["step"] == b["step"]
        assert a["loss/total"] == pytest.approx(b["loss/total"], rel=1e-4, abs=1e-6)


def test_resuming_between_two_dispatches_is_refused(tmp_path, toy):
    with pytest.raises(PreemptedError):
        toy(tmp_path, StopAt(13))
    with pytest.raises(ConfigError, match="step 13.*dispatch"):
        toy(tmp_path, train__steps_per_dispatch=5)
    assert toy(tmp_path) == 40


def test_every_seed_is_another_run(tmp_path, toy):
    toy(tmp_path / "0", train__num_steps=10)
    toy(tmp_path / "1", train__num_steps=10, seed=1)
    a, b = (weights_of(tmp_path / seed)[1].params["net"]["w"] for seed in "01")
    assert np.all(a != b)


def test_other_shapes_leave_the_run_as_it_was(tmp_path, monkeypatch, toy):
    toy(tmp_path, train__num_steps=10)
    before = sorted(p for p in (tmp_path / "checkpoints").rglob("*"))
    recorded = (tmp_path / "config.json").read_text()
    monkeypatch.setattr(
        methods, "build", lambda config, axis_name=None: toy_method(axis_name, width=5)
    )
    with pytest.raises(ConfigError, match=r"step 10.*ema/net/w is float32\[3\].*float32\[5\]"):
        train(tiny_config(), tmp_path, StopAt(99))
    assert sorted(p for p in (tmp_path / "checkpoints").rglob("*")) == before
    assert (tmp_path / "config.json").read_text() == recorded


def bad_while(condition):
    """Spoils the loss of every update for which condition(state) holds."""

    def spoil(state, metrics):
        return metrics | {"loss/total": jnp.where(condition(state), jnp.nan, metrics["loss/total"])}

    return spoil


SHORT = dict(stability__max_skipped=5)


def test_single_bad_updates_are_skipped_and_counted(tmp_path, toy):
    with pytest.warns(UserWarning, match="to step 40, 2 updates .* too large: training"):
        toy(tmp_path, spoiled=bad_while(lambda s: (s.step == 4) | (s.step == 33)), **SHORT)
    assert [row["train/skipped"] for row in log_of(tmp_path)] == [1, 1, 1, 2]
    assert all(np.isfinite(row["loss/total"]) for row in log_of(tmp_path))
    assert weights_of(tmp_path)[1].extra["seen"] == 38


def test_repeated_bad_updates_roll_back_with_a_new_key(tmp_path, toy):
    toy(tmp_path / "well")
    spoiled = bad_while(lambda s: (s.step >= 24) & (s.step < 36) & (s.rollbacks == 0))
    with (
        pytest.warns(UserWarning, match="step 30: 6 updates .* rolling back to step 20 with"),
        pytest.warns(UserWarning, match="to step 40, 6 updates .* and 1 roll-backs made: training"),
    ):
        assert toy(tmp_path / "run", spoiled=spoiled, **SHORT) == 40
    step, state = weights_of(tmp_path / "run")
    assert (step, state.rollbacks, state.skipped, state.step) == (40, 1, 6, 40)
    assert np.all(state.params["net"]["w"] != weights_of(tmp_path / "well")[1].params["net"]["w"])
    log, well = log_of(tmp_path / "run"), log_of(tmp_path / "well")
    assert [row["step"] for row in log] == [10, 20, 30, 40]
    assert log[:2] == well[:2]
    assert log[2]["train/rollbacks"] == 1 and log[2]["loss/total"] != well[2]["loss/total"]


def test_rolled_back_run_resumes_bit_equal(tmp_path, toy):
    spoiled = bad_while(lambda s: (s.step >= 14) & (s.rollbacks == 0))
    with pytest.warns(UserWarning, match="rolling back"):
        toy(tmp_path / "whole", spoiled=spoiled, **SHORT)
        with pytest.raises(PreemptedError):
            toy(tmp_path / "run", StopAt(30), spoiled=spoiled, **SHORT)
    assert weights_of(tmp_path / "run")[1].rollbacks == 1
    toy(tmp_path / "run", spoiled=spoiled, **SHORT)
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_divergence_beyond_recovery(tmp_path, toy):
    spoiled = bad_while(lambda s: s.step >= 12)
    with (
        pytest.warns(UserWarning, match="roll-back 3 of 3"),
        pytest.raises(
            DivergedError, match="at step 20: 8 updates.*after 3 roll-backs; lower the toy"
        ),
    ):
        toy(tmp_path, spoiled=spoiled, **SHORT)
    step, state = weights_of(tmp_path)
    assert (step, state.skipped_in_row) == (10, 0)


def test_good_checkpoints_outlive_a_long_bad_stretch(tmp_path, toy):
    """Checkpoints inside the stretch must not push the last good one out."""
    spoiled = bad_while(lambda s: (s.step >= 8) & (s.rollbacks == 0))
    settings = dict(train__checkpoint_every=2, stability__max_skipped=20)
    with pytest.warns(UserWarning, match="rolling back to step 8"):
        assert toy(tmp_path, spoiled=spoiled, **settings) == 40


def test_only_bad_checkpoints_left(tmp_path, toy):
    """Signals in a bad stretch save bad states; then training starts over."""
    spoiled = bad_while(lambda s: (s.step >= 3) & (s.rollbacks == 0))
    for _ in range(4):
        with pytest.raises(PreemptedError):
            toy(tmp_path, StopAt(4), spoiled=spoiled, train__log_every=20, **SHORT)
    with pytest.warns(UserWarning, match="rolling back to step 0"):
        assert toy(tmp_path, spoiled=spoiled, train__log_every=20, **SHORT) == 40
    assert weights_of(tmp_path)[1].extra["seen"] == 40


def test_unreadable_newest_checkpoint_is_made_again(tmp_path, toy):
    toy(tmp_path / "whole")
    toy(tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "40" / "state" / "manifest.ocdbt").write_bytes(b"")
    with pytest.warns(UserWarning, match="step 40 .* cannot be read"):
        assert toy(tmp_path / "run") == 40
    assert_same_run(tmp_path / "run", tmp_path / "whole")


def test_a_finished_run_without_checkpoints_keeps_its_export(tmp_path, toy):
    toy(tmp_path)
    shutil.rmtree(tmp_path / "checkpoints")
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "chains.json").write_text("{}")
    before = export_of(tmp_path), log_of(tmp_path)
    files = sorted(tmp_path.rglob("*"))
    for folder in ("export", "eval"):  # what the message tells to remove
        with pytest.raises(ConfigError, match="holds the results of a run, and no checkpoint to"):
            toy(tmp_path)
        assert sorted(tmp_path.rglob("*")) == files and log_of(tmp_path) == before[1]
        shutil.rmtree(tmp_path / folder)
        files = sorted(tmp_path.rglob("*"))
    with pytest.warns(UserWarning, match="metrics up to step 40, but no checkpoint .* at step 0"):
        assert toy(tmp_path) == 40
    assert (export_of(tmp_path), log_of(tmp_path)) == before


def test_no_readable_checkpoint_at_all_is_no_reason_to_start_over(tmp_path, toy):
    toy(tmp_path)
    for file in (tmp_path / "checkpoints").rglob("manifest.ocdbt"):
        file.unlink()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ConfigError, match="none of the checkpoints .* can be read .*step 40"):
        toy(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
