"""An ablation: one config at several values of one setting, and the table and plot of its results.

    python -m ebm_jax.sweep --config configs/X.py --workdir DIR --over sampler.prior.num_steps
        --values 15 30 60 [--seeds 0 1] [--task fd_classifier] [--baseline configs/Y.py]
        [--config.key=value …]

Every point is a run of its own below DIR; the same command goes on where it stopped.
"""

import argparse
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import jax
from absl import flags
from ml_collections import config_flags

from ebm_jax import first_stage
from ebm_jax.command_line import as_flag_error
from ebm_jax.errors import ConfigError, DivergedError, PreemptedError, UserError, as_user_error
from ebm_jax.evaluation import TASKS
from ebm_jax.prerequisites import prepare
from ebm_jax.reporting.ablation import write_ablation
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.tables import flatten
from ebm_jax.validation import validate


class Point(NamedTuple):
    """One run: its value of the setting (None: the baseline), and what `ebm_jax.main` is given."""

    value: str | None
    seed: int
    workdir: Path
    arguments: list[str]

    def words(self, setting: str) -> str:
        what = "the baseline" if self.value is None else f"{setting} = {self.value}"
        return f"{what}, seed {self.seed}"


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code (see README)."""
    jax.config.update("jax_platforms", "cpu")  # of this process: the runs need the accelerator
    stop = _Stop()
    previous = {n: signal.signal(n, stop.ask) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        options, overrides = _parse(arguments)
        points = _points(options, overrides)
        fitting: set[tuple] = set()
        for point in points:
            stop.raise_if_asked()
            _check(point, options.task, fitting)
        _claim(Path(options.workdir), options.over)
        diverged = []
        for number, point in enumerate(points, 1):
            print(f"\nrun {number} of {len(points)}: {point.words(options.over)}", flush=True)
            if _run(point, stop) == DivergedError.exit_code:
                diverged.append(point.workdir)
        for path in write_ablation(
            Path(options.workdir),
            options.over,
            options.task,
            [(point.value, point.workdir, point.workdir in diverged) for point in points],
        ):
            print(path)
        return 0
    except (UserError, OSError, KeyboardInterrupt) as error:
        ended = as_user_error(error)
        print(f"error: {ended}", file=sys.stderr)
        return ended.exit_code
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class _Stop:
    """On SIGTERM or SIGINT: the run under way is told once, saves and ends; no other starts."""

    def __init__(self):
        self.asked: str | None = None
        self.process: subprocess.Popen | None = None

    def ask(self, number, _):
        if self.asked is None and self.process is not None:
            self.process.send_signal(signal.SIGTERM)
        self.asked = signal.Signals(number).name

    def raise_if_asked(self):
        if self.asked:
            raise PreemptedError(
                f"{self.asked} received; finished runs and the checkpoint of the one under way are "
                "kept, run the same command again to go on."
            )


def _parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m ebm_jax.sweep", allow_abbrev=False)
    parser.add_argument("--config", required=True, help="experiment, e.g. configs/X.py[:quick]")
    parser.add_argument("--workdir", required=True, help="folder of all runs")
    parser.add_argument("--over", required=True, help="setting, e.g. sampler.prior.num_steps")
    parser.add_argument("--values", required=True, nargs="+", help="e.g. 15 30 60, or '(50,50)'")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--task", default="fd_classifier", help="evaluation the table shows")
    parser.add_argument("--baseline", help="experiment drawn as a line, e.g. one without energy")
    options, overrides = parser.parse_known_args(arguments)
    for flag in overrides:
        if not flag.startswith("--config."):
            raise ConfigError(f"'{flag}' is no flag; settings of all runs are --config.key=value.")
    if options.task not in TASKS:
        raise ConfigError(f"--task is '{options.task}'; use one of: {', '.join(sorted(TASKS))}.")
    if options.over == "seed":
        raise ConfigError("--over is 'seed'; seeds are repetitions: give them by --seeds.")
    for name in ("values", "seeds"):
        given = getattr(options, name)
        if len(set(given)) < len(given):
            raise ConfigError(f"--{name} are {given}, of which some are the same; give each once.")
    return options, overrides


def _points(options, overrides: list[str]) -> list[Point]:
    """Seed by seed, so that an ablation that is cut off has all values of the first seeds."""
    values = [None] * bool(options.baseline) + options.values
    points = []
    for seed in options.seeds:
        for value in values:
            name = "baseline" if value is None else value
            name = "".join(c if c.isalnum() or c in "._-" else "_" for c in name).strip("_")
            workdir = Path(options.workdir) / f"{name}_seed{seed}"
            arguments = [f"--config={options.config if value else options.baseline}", *overrides]
            arguments.append(f"--config.seed={seed}")
            if value is not None:
                arguments.append(f"--config.{options.over}={value}")
            points.append(Point(value, seed, workdir, [*arguments, f"--workdir={workdir}"]))
    if len({point.workdir for point in points}) < len(points):
        raise ConfigError(
            f"--values are {options.values}, of which two have the same folder; write them "
            "differently."
        )
    return points


def _claim(folder: Path, setting: str) -> None:
    """Notes what the folder's runs differ in; ConfigError where they differ in something else."""
    path, held = folder / "sweep.json", setting
    if path.is_file():
        try:
            held = json.loads(path.read_text())["over"]
        except (TypeError, ValueError, KeyError) as error:
            raise ConfigError(
                f"'{path}' cannot be read, and it alone says which sweep the folder holds; choose "
                "another --workdir, or remove it if it was this one."
            ) from error
    if held != setting:
        raise ConfigError(
            f"'{folder}' holds a sweep over {held}, not over {setting}; choose another --workdir."
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, {"over": setting})


def _check(point: Point, task: str, fitting: set[tuple]) -> None:
    """Raises UserError for a point that could not run: before the first is trained.

    `fitting` are the first stages and settings that were found to go together, and grows.
    """
    holder = flags.FlagValues()
    given = ["sweep", *point.arguments[:-1]]
    config_flags.DEFINE_config_file("config", flag_values=holder, sys_argv=given)
    try:
        holder(given)
        config = holder["config"].value
        getattr(config, "seed", None)  # a file that could not be opened fails only when used
    except Exception as error:  # absl and ml_collections raise many types; user files any
        raise as_flag_error(error) from error
    validate(config)
    _, method = prepare(config)
    first_stage.check(config, method)
    begun = (point.workdir / "config.json").exists()  # it has what it took from the first stage
    if config.train.first_stage and not begun:
        settings = flatten(config.to_dict(), ".")
        wanted = config.train.first_stage, *(str(settings.get(key)) for key in method.builds_on)
        if wanted not in fitting:  # reading it takes seconds
            first_stage.load(config, method)
            fitting.add(wanted)
    if task not in config.eval.tasks:
        raise ConfigError(
            f"eval.tasks of {point.arguments[0]} is {tuple(config.eval.tasks)}, without the "
            f"'{task}' to compare; add it by --config.eval.tasks."
        )


def _run(point: Point, stop: _Stop) -> int:
    """Trains and evaluates one point in a process of its own: 0, or 4 where it diverged.

    Raises:
      PreemptedError: it was asked to stop.
      UserError: it ended otherwise; it has said why.
    """
    stop.raise_if_asked()
    # In a session of its own: a signal to the whole group would reach it twice, and kill it.
    command = [sys.executable, "-m", "ebm_jax.main", *point.arguments]
    stop.process = subprocess.Popen(command, start_new_session=True)
    if stop.asked:  # between the two lines above
        stop.process.send_signal(signal.SIGTERM)
    code = stop.process.wait()
    stop.process = None
    stop.raise_if_asked()
    if code == PreemptedError.exit_code:
        raise PreemptedError(
            f"the run '{point.workdir}' was asked to stop; run the same command again to go on."
        )
    if code not in (0, DivergedError.exit_code):
        error = UserError(
            f"the run '{point.workdir}' ended with exit code {code} for the reason above; finished "
            "ones are kept: mend that and run the same command again."
        )
        error.exit_code = code if code > 0 else 1
        raise error
    return code


if __name__ == "__main__":
    sys.exit(main())
