"""The config of a run or an export, from its folder: what a command line without --config means."""

import json
import sys
from pathlib import Path

import ml_collections
from ml_collections.config_dict import placeholder

from ebm_jax import compatibility
from ebm_jax.errors import ConfigError, DataError

PARAMETERS = "params.msgpack"  # of exports alone
_FILE = "config.json"  # of runs and of exports


def is_export(folder: str | Path) -> bool:
    """Whether the folder holds an export, not a run (whose export is in a folder of its own)."""
    return (Path(folder).expanduser() / PARAMETERS).is_file()


def refuse_export(folder: str | Path) -> None:
    """For what needs a run.

    Raises:
      ConfigError: the folder holds an export.
    """
    if is_export(folder):
        raise ConfigError(
            f"'{folder}' holds an export, which stays as it is: draw samples of it by --mode "
            "sample, name it as train.first_stage, or give another --workdir."
        )


def read(folder: str | Path) -> ml_collections.ConfigDict:
    """The settings in `config.json` of a run's folder or an export, complete for this version.

    Raises:
      OSError, ValueError, KeyError, TypeError: it is missing or damaged.
    """
    description = json.loads((Path(folder).expanduser() / _FILE).read_text())
    config = ml_collections.ConfigDict(_tuples(description["config"]))
    compatibility.complete(config)
    return config


def get_config(folder: str) -> ml_collections.ConfigDict:
    """`read` for the flag --config: settings that are None take any value.

    Raises:
      ConfigError: a run's config.json cannot be read.
      DataError: an export's cannot.
    """
    try:
        config = read(folder)
    except Exception as error:  # JSON of any shape: ConfigDict refuses some keys with its own types
        path = f"'{folder}/{_FILE}'"
        if is_export(folder):
            raise DataError(
                f"{path} cannot be read; take the export again from where it came."
            ) from error
        raise ConfigError(
            f"{path} cannot be read; give the experiment: --config configs/X.py."
        ) from error
    _open(config)
    return config


def with_stored_config(arguments: list[str]) -> list[str]:
    """A command line that names a --workdir and no --config, with the folder's own added to it.

    It stays as it is where the folder has none.
    """
    given = [_split(argument) for argument in arguments]
    folders = [
        value if value is not None else following
        for (name, value), following in zip(given, [*arguments[1:], ""], strict=True)
        if name == "workdir"
    ]
    if any(name == "config" for name, _ in given) or not folders:
        return arguments
    if not (Path(folders[-1]).expanduser() / _FILE).is_file():
        return arguments
    program, *rest = arguments
    return [program, f"--config={sys.modules[__name__].__file__}:{folders[-1]}", *rest]


def missing_config(folder: str | None) -> ConfigError:
    """Why a command line without --config means no experiment: what its --workdir lacks."""
    if not folder:
        lacking = "--config is missing"
    elif Path(folder).expanduser().exists():
        lacking = f"there is no run or export in '{folder}' ({_FILE} is missing), and no --config"
    else:
        lacking = f"there is no folder '{folder}', and no --config"
    return ConfigError(
        f"{lacking}; give an experiment, e.g. --config configs/digits_joint.py, or the --workdir "
        "of a run or an export, which has its own."
    )


def _split(argument: str) -> tuple[str, str | None]:
    """'--name=value' → (name, value); '--name' → (name, None)."""
    if not argument.startswith("-"):
        return "", None
    name, sign, value = argument.lstrip("-").partition("=")
    return name, value if sign else None


def _open(config):
    for name, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            _open(value)
        elif value is None:
            config[name] = placeholder(object)


def _tuples(value):
    """JSON's lists back to the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value
