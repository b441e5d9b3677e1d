"""Command line: `python -m ebm_jax.main --config configs/X.py --workdir DIR [--mode …]`."""

import signal
import sys
import warnings

from absl import flags, logging
from ml_collections import config_flags

from ebm_jax.command_line import as_flag_error
from ebm_jax.errors import ConfigError, UserError, as_user_error
from ebm_jax.stored_config import missing_config, with_stored_config

_CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment, e.g. configs/X.py[:quick].")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder of the run; the same folder resumes.")
_MODE = flags.DEFINE_string("mode", "train", "train | eval | sample | dry_run")


def main(argv: list[str]) -> int:
    """Parses the flags and runs one mode; returns the exit code (see README)."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until a mode takes it over
    logging.set_verbosity(logging.FATAL)  # what Orbax logs reaches the user as our own sentences
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    if {"--help", "-h", "--helpshort", "--helpfull"} & set(argv):
        print(__doc__, flags.FLAGS.main_module_help(), sep="\n")
        return 0
    try:
        _parse(argv)
        from ebm_jax import modes  # after the flags: importing jax takes seconds

        modes.run(_MODE.value, _CONFIG.value, _WORKDIR.value)
        return 0
    except (UserError, OSError, KeyboardInterrupt) as error:
        ended = as_user_error(error)
        print(f"error: {ended}", file=sys.stderr)
        return ended.exit_code


def _parse(argv):
    typed = sys.argv
    sys.argv = with_stored_config(argv)  # ml_collections looks for overrides there
    try:
        rest = flags.FLAGS(sys.argv)
        getattr(_CONFIG.value, "seed", None)  # a file that could not be opened fails only when used
    except Exception as error:  # absl and ml_collections raise many types; user files any
        raise as_flag_error(error) from error
    finally:
        sys.argv = typed
    if len(rest) > 1:
        raise ConfigError(f"bad command line: '{rest[1]}' is no flag; flags start with --.")
    if _CONFIG.value is None:
        raise missing_config(_WORKDIR.value)
    if not _WORKDIR.value and _MODE.value != "dry_run":
        what = "missing" if _WORKDIR.value is None else "empty"
        raise ConfigError(f"--workdir is {what}; give a folder for the run.")


if __name__ == "__main__":
    sys.exit(main(sys.argv))
