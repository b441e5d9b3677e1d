"""The sweep: which runs it starts and in what order, what stops it, and what comes out."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ebm_jax import sweep
from ebm_jax.errors import PreemptedError, UserError
from tests.reporting import fakes

ROOT = Path(__file__).resolve().parent.parent
ARGUMENTS = [
    *("--config", "configs/digits_joint.py:quick"),
    *("--over", "sampler.prior.num_steps", "--values", "5", "10"),
]


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """main() whose runs are fakes: (exit code, the points in order); `codes` say how runs end."""
    codes, seen = {}, []

    def run(point, stop):
        seen.append(point)
        value = float(point.value or 0)
        evaluation = fakes.evaluation(seed=point.seed, ebm_prior=value + point.seed)
        fakes.make_run(point.workdir, fakes.config(point.seed), evaluation)
        code = codes.get((point.value, point.seed), 0)
        if isinstance(code, Exception):
            raise code
        return code

    def call(*arguments):
        return sweep.main([*ARGUMENTS, "--workdir", str(tmp_path), *arguments]), seen

    monkeypatch.setattr(sweep, "_run", run)
    call.codes, call.seen = codes, seen
    return call


def test_every_value_and_seed_is_a_run_of_its_own(runs, tmp_path, capsys):
    code, seen = runs(
        *("--seeds", "0", "1", "--baseline", "configs/digits_hvae.py:quick"),
        "--config.train.num_steps=40",
    )
    assert code == 0
    output = capsys.readouterr().out
    assert "run 1 of 6: the baseline, seed 0\n" in output
    assert "run 6 of 6: sampler.prior.num_steps = 10, seed 1\n" in output
    assert [(p.value, p.seed, p.workdir.name) for p in seen] == [
        (None, 0, "baseline_seed0"),
        ("5", 0, "5_seed0"),
        ("10", 0, "10_seed0"),
        (None, 1, "baseline_seed1"),
        ("5", 1, "5_seed1"),
        ("10", 1, "10_seed1"),
    ]
    assert seen[0].arguments[0] == "--config=configs/digits_hvae.py:quick"
    assert seen[2].arguments == [
        "--config=configs/digits_joint.py:quick",
        "--config.train.num_steps=40",
        "--config.seed=0",
        "--config.sampler.prior.num_steps=10",
        f"--workdir={tmp_path}/10_seed0",
    ]
    found = json.loads((tmp_path / "ablation.json").read_text())
    assert found["setting"] == "sampler.prior.num_steps" and found["metric"] == "fd_classifier"
    means = [row["results"]["ebm_prior"]["mean"] for row in found["rows"]]
    assert [row["value"] for row in found["rows"]] == [None, "5", "10"] and means == [
        0.5,
        5.5,
        10.5,
    ]


def test_a_diverged_run_is_counted_and_the_rest_goes_on(runs, tmp_path):
    runs.codes["5", 0] = 4
    code, seen = runs("--seeds", "0", "1")
    assert code == 0 and len(seen) == 4
    rows = json.loads((tmp_path / "ablation.json").read_text())["rows"]
    assert [(row["diverged"], row["seeds"]) for row in rows] == [(1, [1]), (0, [0, 1])]


@pytest.mark.parametrize(
    "error, code", [(PreemptedError("asked to stop"), 75), (UserError("x"), 2)]
)
def test_what_stops_a_run_stops_the_sweep(runs, capsys, error, code):
    runs.codes["5", 0] = error
    got, seen = runs()
    assert got == code and len(seen) == 1
    assert capsys.readouterr().err == f"error: {error}\n"


@pytest.mark.parametrize(
    "arguments, part",
    [
        (["--speed=3"], "'--speed=3' is no flag"),
        (["--task", "beauty"], "--task is 'beauty'; use one of: anomaly"),
        (["--task", "likelihood"], "without the 'likelihood' to compare"),
        (["--seeds", "1", "1"], "--seeds are [1, 1]"),
        (["--values", "5", "x"], "num_steps is 'x', which is no whole number; see"),
        (["--over", "sampler.prior.num_step"], "no setting 'num_step' (did you mean 'num_steps'?)"),
        (["--over", "sampler.prior"], "sampler.prior is '5', which is no group of settings"),
        (["--over", "seed"], "--over is 'seed'; seeds are repetitions: give them by --seeds."),
        (["--values", "5", "-5"], "sampler.prior.num_steps is -5"),
        (["--config.data.batch_size=5000"], "data.batch_size is 5000, more than the 1438"),
        (["--config.train.first_stage=x"], "'x', but method 'joint' builds on no other run"),
        (["--values", "(5,)", "(5)"], "two have the same folder"),
        (["--baseline", "configs/none.py"], "--config cannot be read: No such file or directory"),
    ],
)
def test_mistakes_are_found_before_the_first_run(runs, capsys, arguments, part):
    code, seen = runs(*arguments)
    assert code == 2 and not seen
    errors = capsys.readouterr().err
    assert part in errors and errors.startswith("error: ") and errors.count("\n") == 1


def test_a_missing_first_stage_is_found_before_the_first_run(tmp_path, runs, capsys):
    arguments = ["--config", "configs/digits_two_stage.py", "--over", "train.num_steps"]
    first = f"--config.train.first_stage={tmp_path}/none"
    code = sweep.main(
        [*arguments, "--values", "5", "10", "--workdir", str(tmp_path / "sweep"), first]
    )
    assert code == 3 and not runs.seen
    assert "none', but there is no such folder; name the workdir" in capsys.readouterr().err


def test_a_folder_holds_one_sweep(runs, capsys, tmp_path):
    assert runs()[0] == 0
    before = (tmp_path / "ablation.md").read_text()
    runs.seen.clear()
    code, seen = runs("--over", "eval.grid")
    assert code == 2 and not seen
    told = f"'{tmp_path}' holds a sweep over sampler.prior.num_steps, not over eval.grid; "
    assert capsys.readouterr().err == f"error: {told}choose another --workdir.\n"
    assert (tmp_path / "ablation.md").read_text() == before
    assert runs()[0] == 0  # the same command
    (tmp_path / "sweep.json").write_text('{"ov')
    capsys.readouterr()
    assert runs()[0] == 2
    assert "sweep.json' cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("code, kind", [(75, PreemptedError), (3, UserError), (0, None), (4, None)])
def test_exit_codes_of_a_process(monkeypatch, tmp_path, code, kind):
    real = subprocess.Popen
    monkeypatch.setattr(
        sweep.subprocess,
        "Popen",
        lambda command, **options: real(
            [sys.executable, "-c", f"raise SystemExit({code})"], **options
        ),
    )
    point = sweep.Point("5", 0, tmp_path, [])
    if kind is None:
        assert sweep._run(point, sweep._Stop()) == code
        return
    with pytest.raises(kind) as caught:
        sweep._run(point, sweep._Stop())
    assert caught.value.exit_code == code


@pytest.mark.slow
def test_a_signal_to_all_reaches_the_run_once_and_stops_the_sweep(tmp_path):
    """As from a terminal or a scheduler: the run saves, and 75 says to run the command again."""
    command = [sys.executable, "-m", "ebm_jax.sweep", *ARGUMENTS, "--workdir", str(tmp_path)]
    flags = ["--config.train.num_steps=1000000", "--config.train.log_every=20"]
    process = subprocess.Popen(
        [*command, *flags], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    log = tmp_path / "5_seed0" / "metrics.jsonl"
    deadline = time.monotonic() + 240
    try:
        while not (log.exists() and log.stat().st_size):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=150)
    except BaseException:  # neither the sweep nor its run of a million steps may stay
        process.kill()
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(int((log.parent / ".lock").read_text()), signal.SIGKILL)
        raise
    assert process.returncode == 75, errors
    assert "SIGTERM received: step" in errors and "SIGINT received; finished runs" in errors
    saved = [int(path.name) for path in (tmp_path / "5_seed0" / "checkpoints").iterdir()]
    assert max(saved) > 0
    assert not (tmp_path / "10_seed0").exists()
