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
    flags = r"(--workdir[= ]|\.first_stage[= ])(/\S+)"
    return re.sub(flags, lambda found: found[1] + told_folder(found[2]), command)


def told_folder(folder: str) -> str:
    """An absolute folder of a run, or of its export, as others may have it: `runs/X[/export]`."""
    parts = folder.rstrip("/").split("/")
    return "/".join(["runs", *(parts[-2:] if parts[-1] == "export" else parts[-1:])])


def _quoted(word: str) -> str:
    """As a person would: in double quotes what has single ones, rather than '"'"'."""
    if "'" in word and not set(word) & set('"$`\\!'):
        name, equals, value = word.partition("=")
        return f'{name}="{value}"' if equals else f'"{word}"'
    return shlex.quote(word)
