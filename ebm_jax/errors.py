"""Errors a user can act on: each is one sentence and carries its exit code."""


class UserError(Exception):
    """Base class: the message says what is wrong, the value, and what to do."""

    exit_code = 2


class ConfigError(UserError):
    """Bad usage or configuration, or a workdir that cannot be used."""

    exit_code = 2


class DataError(UserError):
    """Data or weights are missing, unreadable or of the wrong shape."""

    exit_code = 3


class DivergedError(UserError):
    """Training diverged beyond recovery."""

    exit_code = 4


class PreemptedError(UserError):
    """The run was asked to stop; a checkpoint is saved and the same command goes on."""

    exit_code = 75


def as_user_error(error: BaseException) -> UserError:
    """What to tell the user about an error that may come from anywhere: UserErrors stay as is."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError):
        where = f" '{error.filename}'" if error.filename else ""
        return ConfigError(
            f"writing or reading{where} failed ({error.strerror or error}); free some space or "
            "mend the permissions and run the same command again: what was saved is intact."
        )
    if isinstance(error, KeyboardInterrupt):
        return PreemptedError("interrupted; run the same command again.")
    raise error
