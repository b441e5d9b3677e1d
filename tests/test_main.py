"""The command line: every mistake is one sentence on standard error and the right exit code."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from ebm_jax import main as command
from ebm_jax import modes
from ebm_jax import train as loop
from ebm_jax.errors import DivergedError, PreemptedError
from tests.test_train import trained_workdir

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # as outside of pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = str(ROOT / "configs" / "digits_joint.py")


@pytest.fixture
def run(monkeypatch, capsys):
    """main() with arguments, in this process: (exit code, standard error)."""

    def no_training(*_):
        raise AssertionError("a mistake in the command line went unnoticed: training starts")

    def call(*arguments):
        for name in list(flags.FLAGS):  # what the overrides of an earlier call defined
            if name.startswith("config."):
                delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()
        sys.modules.pop("config_config", None)  # else a file without get_config has the last one's
        monkeypatch.setattr(sys, "argv", ["main.py", *map(str, arguments)])
        code = command.main(sys.argv)
        return code, capsys.readouterr().err

    monkeypatch.setattr(loop, "build_step", no_training)
    monkeypatch.chdir(ROOT)
    yield call
    flags.FLAGS.unparse_flags()


def assert_refused(result, code, *parts):
    got, errors = result
    assert got == code, errors
    lines = errors.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), errors
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize(
    "arguments, parts",
    [
        (["--config.train.stpes=3"], ["no setting 'stpes'"]),
        (
            ["--config.train.step_per_dispatch=3"],
            ["no setting 'step_per_dispatch' (did you mean 'steps_per_dispatch'?)"],
        ),
        (["--config.trian.num_steps=3"], ["no setting 'trian' (did you mean 'train'?)"]),
        (
            ["--config.train.num_steps=many"],
            ["--config.train.num_steps is 'many', which is no whole number; see configs/base.py."],
        ),
        (
            ["--config.train.num_steps=1.5"],
            ["--config.train.num_steps is '1.5', which is no whole number"],
        ),
        (["--config.optim.energy.learning_rate=fast"], ["is 'fast', which is no number"]),
        (["--config.train=3"], ["--config.train is '3', which is no group of settings"]),
        (["--config.model.energy.enabled=perhaps"], ["is 'perhaps', which is neither true nor"]),
        (["--mod=train"], ["'mod'", "mode"]),
        (["sample"], ["'sample' is no flag; flags start with --"]),
        (["--workdir"], ["Missing value for flag --workdir"]),
    ],
    ids=lambda value: value[0] if value[0].startswith("-") else "",
)
def test_bad_flags(run, tmp_path, arguments, parts):
    result = run("--config", CONFIG, f"--workdir={tmp_path / 'run'}", *arguments)
    assert_refused(result, 2, "bad command line: ", *parts)
    assert not (tmp_path / "run").exists()


def test_missing_flags(run):
    assert_refused(run("--config", CONFIG), 2, "--workdir is missing; give a folder")
    assert_refused(run(), 2, "--config is missing; give an experiment")
    assert_refused(run("--workdir=x"), 2, "there is no folder 'x', and no --config; give an exper")


def test_unknown_variant(run):
    result = run("--config", f"{CONFIG}:slow", "--workdir=x")
    assert_refused(
        result, 2, "bad command line: variant 'slow' is unknown; use ':quick' or leave it out."
    )


@pytest.mark.parametrize("more", [[], ["--config.seed=1"]])
def test_missing_config_file(run, more):
    result = run("--config=configs/nope.py", "--workdir=x", *more)
    assert_refused(result, 2, "--config cannot be read: No such file", "configs/nope.py'.")


def test_a_config_of_a_similar_name_is_named(run):
    result = run("--config=configs/digit_joint.py:quick", "--workdir=x")
    assert_refused(result, 2, "'configs/digit_joint.py' (did you mean 'configs/digits_joint.py'?).")


@pytest.mark.parametrize(
    "text, parts",
    [
        ("def get_config(:\n", ["SyntaxError", "broken.py, line 1"]),
        ("import nonsense_module\n", ["No module named 'nonsense_module'"]),
        ("x = 1\n", ["no attribute 'get_config'"]),
        ("def get_config():\n    return 1 / 0\n", ["ZeroDivisionError: division by zero"]),
    ],
    ids=["syntax", "import", "no get_config", "raises"],
)
def test_broken_config_file(run, tmp_path, text, parts):
    path = tmp_path / "broken.py"
    path.write_text(text)
    assert_refused(run("--config", path, "--workdir=x"), 2, "the config file fails with ", *parts)


@pytest.mark.parametrize(
    "arguments, code, parts",
    [
        (["--mode=teach"], 2, ["--mode is 'teach'; use one of: train, eval, sample, dry_run"]),
        (["--config.method.name=gan"], 2, ["method.name is 'gan'; known methods: ", "joint"]),
        (["--config.eval.tasks=('fib',)"], 2, ["eval.tasks names 'fib'; known tasks: "]),
        (["--config.data.batch_size=33"], 2, ["data.batch_size is 33", "2 devices"]),
        (["--config.train.steps_per_dispatch=7"], 2, ["no multiple of train.steps_per_dispatch"]),
        (["--config.seed=-1"], 2, ["seed is -1: set it to 0 or more."]),
        (["--config.data.image_size=0"], 2, ["data.image_size is 0"]),
        (["--config.data.channels=3"], 3, ["1 channels and data.channels is 3"]),
        (["--config.data.crop=9"], 3, ["data.crop is 9 pixels"]),
        (["--config.data.name=npz:/nowhere/x.npz"], 3, ["no file '/nowhere/x.npz'"]),
        (["--config.data.name=folder:/nowhere"], 3, ["/nowhere"]),
        (["--config.data.train_split=tarin"], 3, ["tarin"]),
        (["--config.data.name=digit"], 3, ["no data set 'digit'", "digits"]),
        (["--config.data.name=mnist"], 3, ["'mnist' is not prepared", "tfds build mnist"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and value[0].startswith("-") else "",
)
def test_settings_that_cannot_work(run, tmp_path, monkeypatch, arguments, code, parts):
    (tmp_path / "tfds").mkdir()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    result = run("--config", f"{CONFIG}:quick", f"--workdir={tmp_path / 'run'}", *arguments)
    assert_refused(result, code, *parts)
    assert not (tmp_path / "run" / "checkpoints").exists()
    assert not (tmp_path / "run" / "config.json").exists()


def test_npz_of_something_else(run, tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((20, 8, 8), np.float32))
    result = run(
        "--config", f"{CONFIG}:quick", f"--workdir={tmp_path / 'run'}",
        f"--config.data.name=npz:{tmp_path / 'x.npz'}",
    )  # fmt: skip
    assert_refused(result, 3, "dtype float32: store them as uint8")


@pytest.mark.parametrize("workdir", ["file", "file/run", "/proc/run"])
def test_workdir_that_cannot_be_written(run, tmp_path, workdir):
    (tmp_path / "file").write_text("precious")
    result = run("--config", f"{CONFIG}:quick", f"--workdir={tmp_path / workdir}")
    assert_refused(result, 2, "cannot be written", "choose another --workdir")
    assert (tmp_path / "file").read_text() == "precious"


def test_workdir_without_a_name(run, tmp_path, monkeypatch):
    """`--workdir "$DIR"` where DIR is not set would fill the current folder."""
    monkeypatch.chdir(tmp_path)
    result = run("--config", f"{CONFIG}:quick", "--workdir=")
    assert_refused(result, 2, "--workdir is empty; give a folder")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_an_export_is_neither_trained_nor_evaluated(run, tmp_path, mode):
    folder = shutil.copytree(trained_workdir() / "export", tmp_path / "export")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = run(f"--workdir={folder}", f"--mode={mode}")
    assert_refused(result, 2, f"'{folder}' holds an export", "--mode sample")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "mode, lacking, advice",
    [
        ("eval", "there is no checkpoint in", "give the --workdir of a run."),
        ("sample", "there is neither a run's checkpoint in", "give the --workdir of either."),
    ],
)
def test_empty_workdir(run, tmp_path, mode, lacking, advice):
    result = run("--config", f"{CONFIG}:quick", f"--workdir={tmp_path}", f"--mode={mode}")
    assert_refused(result, 2, lacking, "train first", advice)


@pytest.mark.parametrize("mode", ["eval", "sample"])
def test_a_run_without_checkpoints_has_an_export_to_sample(run, tmp_path, mode):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    shutil.rmtree(folder / "checkpoints")
    result = run(f"--workdir={folder}", f"--mode={mode}")
    told = f"--mode sample takes its export: --workdir {folder}/export."
    assert_refused(result, 2, "there is no checkpoint in", told)


def test_failures_leave_an_earlier_run_as_it_was(run, tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for argument in (
        "--config.data.batch_size=33",
        "--config.method.name=gan",
        "--config.data.channels=3",
        "--config.eval.tasks=('fib',)",
        "--config.model.latent_sizes=(5,2)",  # other shapes than the checkpoint's
    ):
        code, errors = run("--config", f"{CONFIG}:quick", f"--workdir={folder}", argument)
        assert code in (2, 3) and "error: " in errors and "Traceback" not in errors
        after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        assert after == before, argument


@pytest.mark.parametrize(
    "error, code, text",
    [
        (DivergedError("it diverged."), 4, "error: it diverged."),
        (PreemptedError("it was stopped."), 75, "error: it was stopped."),
        (OSError(28, "No space left on device", "/x/y"), 2, "'/x/y' failed (No space left"),
        (OSError("odd"), 2, "failed (odd)"),
    ],
)
def test_exit_codes(run, monkeypatch, error, code, text):
    def fail(*_):
        raise error

    monkeypatch.setattr(modes, "run", fail)
    assert_refused(run("--config", CONFIG, "--workdir=x"), code, text)


def test_arguments_reach_the_mode(run, monkeypatch):
    seen = []
    monkeypatch.setattr(modes, "run", lambda *arguments: seen.append(arguments))
    code, errors = run(
        "--config", f"{CONFIG}:quick", "--workdir=x", "--mode=eval", "--config.train.num_steps=7"
    )
    assert (code, errors) == (0, "")
    ((mode, config, workdir),) = seen
    assert (mode, workdir) == ("eval", "x")
    assert (config.train.num_steps, config.data.batch_size) == (7, 32)


def test_process_ends_with_the_code():
    command = [sys.executable, "-m", "ebm_jax.main", "--config=configs/nope.py", "--workdir=x"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert_refused((result.returncode, result.stderr), 2, "configs/nope.py")
    assert result.stdout == ""


def test_bad_flags_are_refused_without_importing_jax():
    code = (
        "import sys; from ebm_jax.main import main; sys.argv = ['m', '--config=nope.py']; "
        "print(main(sys.argv), 'jax' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.stdout.split() == ["2", "False"]


def test_interruption_before_the_first_step(run, monkeypatch, tmp_path):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(modes, "run", interrupted)
    result = run("--config", CONFIG, f"--workdir={tmp_path / 'run'}")
    assert_refused(result, 75, "interrupted; run the same command again.")
