"""What to tell a user whose command line or config file absl or ml_collections refuses."""

import difflib
import re
from pathlib import Path

from absl import flags

from ebm_jax.errors import ConfigError, UserError

# What Python says of a value's text → what is wrong with it.
_VALUES = {
    "invalid literal for int()": "is no whole number",
    "could not convert string to float": "is no number",
    "as a ConfigDict": "is no group of settings; give one of the group's settings",
    "Non-boolean argument": "is neither true nor false",
}


def as_flag_error(error: Exception) -> UserError:
    """An exception raised while flags are parsed, as one sentence."""
    if isinstance(error, UserError):  # of a stored config
        return error
    if isinstance(error, OSError):
        reason = str(error).rpartition("] ")[2]
        return ConfigError(f"--config cannot be read: {reason}{_similar(reason)}.")
    return ConfigError(f"bad command line: {_reason(error)}")


def _similar(reason: str) -> str:
    """A file beside the missing one, in quotes in the reason, whose name is like it: a question."""
    path = Path(reason.partition("'")[2].rstrip("'"))
    there = [other.stem for other in path.parent.glob("*.py")]
    close = difflib.get_close_matches(path.stem, there, n=1, cutoff=0.75)
    if not close or path.exists():
        return ""
    return f" (did you mean '{path.with_stem(close[0])}'?)"


def _reason(error: Exception) -> str:
    text = error
    while isinstance(text, AttributeError | KeyError) and text.args:  # their str has more quotes
        text = text.args[0]
    lines = [line.strip() for line in str(text).splitlines() if line.strip()] or [""]
    if isinstance(error, flags.Error):
        told = " ".join(lines[:1] + lines[1:][-1:])  # between them may be a whole traceback
        return _of_value(told) or told
    if isinstance(error, AttributeError | KeyError) and lines[0].startswith("'"):
        setting = re.sub(r' Did you mean "(\w+)".*', r" (did you mean '\1'?)", " ".join(lines))
        return (
            f"the config has no setting {setting}; see configs/base.py, and beside it the "
            "file of the method's own settings."
        )
    return f"the config file fails with {type(error).__name__}: {' '.join(lines)}"


def _of_value(line: str) -> str | None:
    """The sentence about a flag whose value has the wrong type; None if the line is of another."""
    flag = re.match(r"flag (--\S+?)=(.*?): ", line)
    for python, wrong in _VALUES.items():
        if flag and python in line:
            return f"{flag[1]} is '{flag[2]}', which {wrong}; see configs/base.py."
    variant = re.search(r"variant '.*", line)
    return variant and variant[0]
