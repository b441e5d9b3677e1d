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
