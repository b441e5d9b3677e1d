"""The command of a run as others can type it."""

import re
import shlex


def command_text(info: dict) -> str:
    """A run's command; of its absolute folders the last part is kept, the rest is the host's.

    Args:
      info: the run's `config.json`, or an evaluation's `origin`; `command` in it is text, a list of
        words, or missing.

    Returns:
      The command, quoted for a shell; '' where there is none.
    """
    command = info.get("command") or ""
    words = list(map(str, command)) if isinstance(command, list) else shlex.split(command)
    command = " ".join(map(_quoted, words))
    folder = r"(--workdir[= ]|\.first_stage[= ])/\S*?([^/\s]+(?:/export)?)/?(?=\s|$)"
    return re.sub(folder, r"\1runs/\2", command)


def _quoted(word: str) -> str:
    """As a person would: in double quotes what has single ones, rather than '"'"'."""
    if "'" in word and not set(word) & set('"$`\\!'):
        name, equals, value = word.partition("=")
        return f'{name}="{value}"' if equals else f'"{word}"'
    return shlex.quote(word)
