"""The run that another builds on: its generator, from its folder or its export."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from ebm_jax import export
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.methods import InferenceState, Method
from ebm_jax.reporting.tables import flatten
from ebm_jax.stored_config import PARAMETERS


def check(config: Any, method: Method) -> None:
    """Whether `train.first_stage` is set where the method needs it, and only where it takes one.

    Raises:
      ConfigError: it is not.
    """
    given = config.train.first_stage
    if given and not method.builds_on:
        raise ConfigError(
            f"train.first_stage is '{given}', but method '{method.name}' builds on no other run; "
            "leave it out."
        )
    if method.needs_first_stage and not given:
        raise ConfigError(
            f"train.first_stage is not set, but method '{method.name}' with these settings takes "
            "its generator from another run; name that run's workdir or export: "
            "--config.train.first_stage=runs/…"
        )


class FirstStage(NamedTuple):
    """What a run builds on.

    Attributes:
      state: InferenceState.
      origin: folder, step and digest of the export, for the run's record.
    """

    state: InferenceState
    origin: dict[str, Any]


def load(config: Any, method: Method) -> FirstStage:
    """The first stage's parameters and state, and where they are from.

    Args:
      config: `train.first_stage` is a finished run's workdir, or an export.
      method: which settings must be the same is its `builds_on`.

    Raises:
      DataError: there is no export, or it cannot be read.
      ConfigError: it is of a model with other settings.
    """
    folder = Path(config.train.first_stage).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"train.first_stage is '{folder}', but there is no such folder; name the workdir or "
            "the export of a finished run."
        )
    if (folder / "export").is_dir():
        folder = folder / "export"
    elif (folder / "config.json").is_file() and (folder / "checkpoints").is_dir():
        raise DataError(
            f"train.first_stage is '{folder}', a run without an export; finish its training first."
        )
    first = export.load(folder)
    theirs, ours = flatten(first.config.to_dict(), "."), flatten(config.to_dict(), ".")
    differing = [
        f"{name} is {theirs.get(name)} there and {ours.get(name)} here"
        for name in method.builds_on
        if theirs.get(name) != ours.get(name)
    ]
    if differing:
        raise ConfigError(
            f"train.first_stage '{config.train.first_stage}' does not fit: "
            f"{'; '.join(differing)}; use that model's settings, or name another run."
        )
    digest = hashlib.sha256((folder / PARAMETERS).read_bytes()).hexdigest()[:16]
    origin = {"folder": str(folder.resolve()), "step": first.step, "sha256": digest}
    return FirstStage(first.state, origin)
