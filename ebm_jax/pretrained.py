"""A finished run as an export with a card, for others to load.

    python -m ebm_jax.pretrained RUN --name digits_joint [--into pretrained] [--limits TEXT]
                                 [--replace] [--half]
    python -m ebm_jax.pretrained [--into pretrained] [--check]

The first copies RUN/export to pretrained/digits_joint, draws samples of it, and writes its card and
the table of all exports. The second makes cards and table again from the folders.
"""

import argparse
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import ml_collections
import numpy as np

from ebm_jax import export, stored_config
from ebm_jax.errors import ConfigError, UserError, as_user_error
from ebm_jax.reporting.card_record import card_of
from ebm_jax.reporting.files import write_json, write_text
from ebm_jax.reporting.grids import save_grid
from ebm_jax.reporting.model_card import PICTURE, render_card
from ebm_jax.reporting.model_index import CARD, PAGE, pages_of, place_of
from ebm_jax.reporting.run_command import told_folder
from ebm_jax.reporting.run_record import read_run
from ebm_jax.sample import draw, drawn_with
from ebm_jax.stored_config import PARAMETERS

MOST_BYTES = 5_000_000  # of an export: what a repository can hold
_NAMES = {"sampler.prior.num_steps": "eval.prior_steps (by default sampler.prior.num_steps)"}
_PICTURE_BYTES = 30_000
_PICTURED = (64, 36, 16, 4, 1)  # images, the first number whose picture is small enough


def publish(
    workdir: str | Path,
    name: str,
    into: str | Path = "pretrained",
    limits: str | None = None,
    replace: bool = False,
    half: bool = False,
) -> Path:
    """Copies the export of a finished run into a folder of its own, with picture and card.

    The folder appears whole or not at all.

    Args:
      workdir: the run's folder.
      name: of the new folder: small letters, digits and underscores.
      into: the folder of exports, made when needed.
      limits: what the model is not for; by default what follows from its settings and numbers.
      replace: whether an export of this name that this function made may be replaced.
      half: whether parameters are rounded to half precision; the card then says how far the samples
        of the picture moved.

    Returns:
      The new folder.

    Raises:
      ConfigError: the name is not a valid one, the folder exists or cannot be replaced, the run is
        not finished or not traceable, its export is larger than 5 MB, not of this run or draws
        other samples than a task was told to, a number is too large for half precision, or `into`
        cannot be read.
      DataError: the export cannot be read.
    """
    workdir, into = Path(workdir), Path(into)
    _check_place(into, name, replace)
    card = card_of(workdir, limits)
    description = _checked_export(workdir / "export", workdir)
    content = _parameters(workdir, half)
    _check_drawn_alike(workdir)
    pages_of(into)  # an unreadable page is found before anything is written
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=f".{name}.") as folder:
        new = Path(folder) / name
        new.mkdir()
        (new / PARAMETERS).write_bytes(content)
        _write_config(workdir / "export" / "config.json", description, new / "config.json")
        images, card["picture"] = _write_picture(new)
        if half:
            exact = draw(_pictured(workdir / "export"), workdir / "export").images
            moved = float(np.sqrt(np.mean((images - exact) ** 2)))
            card["half"] = {"images": len(images), "moved": moved}
        write_json(new / CARD, {"name": name, **card})
        write_text(new / PAGE, render_card(place_of(into / name), card, description["config"]))
        if (into / name).exists():
            (into / name).rename(Path(folder) / "replaced")
        new.rename(into / name)
    write_pages(into)
    return into / name


def write_pages(into: str | Path, check: bool = False) -> list[Path]:
    """Makes the cards and the table of exports again.

    Args:
      into: the folder of exports.
      check: to write nothing.

    Returns:
      The pages that differed.

    Raises:
      ConfigError: the folder's README.md has no place for the table, or JSON cannot be read.
    """
    differing = []
    for page, text in pages_of(Path(into)).items():
        if not page.exists() or page.read_text(encoding="utf-8") != text:
            differing.append(page)
            if not check:
                write_text(page, text)
    return differing


def _check_place(into: Path, name: str, replace: bool) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
        raise ConfigError(f"--name is '{name}'; use small letters, digits and underscores.")
    if into.exists() and not into.is_dir():
        raise ConfigError(f"--into is '{into}', which is a file; name a folder of exports.")
    place = into / name
    if not place.exists():
        return
    if not replace:
        raise ConfigError(f"'{place}' exists; choose another --name, or give --replace.")
    try:
        held = json.loads((place / CARD).read_text(encoding="utf-8")).get("name")
    except (OSError, ValueError, AttributeError):
        held = None
    if held != name:
        raise ConfigError(
            f"'{place}' is no export with a card that this command made for '{name}', so --replace "
            "leaves it; choose another --name."
        )


def _checked_export(folder: Path, workdir: Path) -> dict[str, Any]:
    """The export's config.json, if it is of the run."""
    files = [folder / "config.json", folder / PARAMETERS]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise ConfigError(
            f"Run '{workdir}' has no export/{missing[0]}; run its command again, which exports."
        )
    try:
        exported, run = (json.loads(p.read_text()) for p in (files[0], workdir / "config.json"))
        same = exported["config"] == run["config"]
        same = same and exported["step"] == run["config"]["train"]["num_steps"]
    except (TypeError, ValueError, KeyError):
        same = False
    if not same:
        raise ConfigError(
            f"'{folder}' is not of the finished run beside it (other settings, another step, or "
            "unreadable); run the training command again, which exports."
        )
    return exported


def _check_drawn_alike(workdir: Path) -> None:
    """Refuses numbers of samples that are drawn otherwise than the export draws them."""
    config = stored_config.read(workdir / "export").to_dict()
    own = drawn_with(config)
    for task, evaluation in read_run(workdir).evaluations.items():
        told = evaluation.get("settings")
        if not told:
            raise ConfigError(
                f"Task {task} of run '{workdir}' does not say with which settings it was "
                "evaluated; evaluate it again."
            )
        used = drawn_with({"method": config["method"], "eval": told, **told})
        for name, value in own.items():
            if used.get(name) != value:
                raise ConfigError(
                    f"Task {task} of run '{workdir}' was evaluated with {_NAMES.get(name, name)} = "
                    f"{used.get(name)}, and its export draws with {value}; run --mode eval again "
                    f"with {value}."
                )


def _write_config(source: Path, description: dict[str, Any], target: Path) -> None:
    """A copy; an absolute first stage's host part, which is nobody's business, is left out."""
    train = description["config"]["train"]
    if not str(train.get("first_stage") or "").startswith("/"):
        shutil.copyfile(source, target)
        return
    train["first_stage"] = told_folder(train["first_stage"])
    write_text(target, json.dumps(description, indent=2))


def _parameters(workdir: Path, half: bool) -> bytes:
    """What the new params.msgpack holds, if it is small enough and can be loaded."""
    folder = workdir / "export"
    if half:
        content = export.halved(export.load(folder).state)
    else:
        content = (folder / PARAMETERS).read_bytes()
    if (size := len(content)) > MOST_BYTES:
        advice = "" if half or size > 2 * MOST_BYTES else "give --half, which halves it, or "
        raise ConfigError(
            f"The export of run '{workdir}' has {size / 1e6:.1f} MB"
            f"{' in half precision' if half else ''}, and at most {MOST_BYTES / 1e6:.0f} MB may be "
            f"kept here; {advice}give it away elsewhere."
        )
    if not half:
        export.load(folder)  # or the error that says what is wrong with it
    return content


def _pictured(folder: Path) -> ml_collections.ConfigDict:
    config = stored_config.read(folder)
    config.sample.num_images, config.sample.strip = _PICTURED[0], 0
    return config


def _write_picture(folder: Path) -> tuple[np.ndarray, dict[str, int]]:
    """Samples of an export in `samples.png`: all, how many there was room for, and the seed."""
    config = _pictured(folder)
    images = draw(config, folder).images
    for count in _PICTURED:
        save_grid(folder / PICTURE, images[:count], value_range=tuple(config.data.range))
        if (folder / PICTURE).stat().st_size <= _PICTURE_BYTES:
            break
    return images, {"images": count, "seed": config.sample.seed}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ebm_jax.pretrained", allow_abbrev=False)
    parser.add_argument("run", nargs="?", metavar="RUN", help="a finished run's folder")
    parser.add_argument("--name", help="of the new folder")
    parser.add_argument("--into", default="pretrained", help="the folder of exports")
    parser.add_argument("--limits", help="what the model is not for")
    parser.add_argument("--replace", action="store_true", help="an export of the same name")
    parser.add_argument(
        "--half", action="store_true", help="round to half precision: half the size"
    )
    parser.add_argument("--check", action="store_true", help="exit 1 when a page differs")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line.

    Args:
      arguments: without the program's name; those of the process by default.

    Returns:
      The exit code: 0 done, 1 `--check` found a difference, else that of the error (see README).
    """
    flags = _parser().parse_args(arguments)
    try:
        if (flags.run is None) != (flags.name is None) or (flags.run and flags.check):
            raise ConfigError(
                "give a RUN and --name to add an export, or neither to make the pages again (or "
                "--check them)."
            )
        if flags.run is None and (flags.half or flags.replace or flags.limits is not None):
            raise ConfigError(
                "--half, --replace and --limits are about an export that is added; give a RUN and "
                "--name too."
            )
        if flags.run is None:
            differing = write_pages(flags.into, flags.check)
            for page in differing:
                print(f"{page} {'differs from its folder' if flags.check else 'written'}")
            return int(flags.check and bool(differing))
        folder = publish(flags.run, flags.name, flags.into, flags.limits, flags.replace, flags.half)
        print(f"{folder}: read its README.md and look at its {PICTURE} before you commit it.")
        return 0
    except (UserError, OSError) as error:
        ended = as_user_error(error)
        print(f"error: {ended}", file=sys.stderr)
        return ended.exit_code


if __name__ == "__main__":
    sys.exit(main())
