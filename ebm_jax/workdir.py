"""A run's folder: it exists, it can be written, and one process at a time uses it."""

import atexit
import contextlib
import fcntl
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ebm_jax import parallel
from ebm_jax.errors import ConfigError, UserError


def check_no_bucket(folder: str | None, setting: str = "--workdir") -> None:
    """Refuses an address, such as gs://bucket/run, where a folder is needed.

    Args:
      folder: as the user wrote it.
      setting: what chooses it, for the error.

    Raises:
      ConfigError: it is an address, as of a bucket.
    """
    if folder and "://" in folder:
        raise ConfigError(
            f"{setting} is '{folder}', but only folders are written and read; mount the bucket as "
            "one, or copy from and to it (see docs/scaling.md)."
        )


def prepare(folder: str | Path, setting: str = "--workdir") -> Path:
    """Creates the folder and makes sure it can be written.

    Args:
      folder: a run's, or another that is written to.
      setting: what chooses it, for the error.

    Raises:
      ConfigError: it cannot.
    """
    path = Path(folder).expanduser().resolve()
    try:
        check_writable(path)
    except OSError as error:
        reason = "it is a file" if path.is_file() else error.strerror
        raise ConfigError(
            f"the folder '{path}' cannot be written ({reason}); choose another {setting}."
        ) from error
    return path


def check_writable(folder: Path) -> None:
    """Creates the folder and writes a byte in it, which a full disk or quota refuses too.

    Raises:
      OSError: it cannot be created or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / f".writable.{os.getpid()}"
    try:
        probe.write_bytes(b"x")
    finally:
        probe.unlink(missing_ok=True)


def output(workdir: str | Path) -> Path:
    """Where this process writes: the workdir, or, beside process 0, a folder nobody reads.

    All processes do the same work, so that none waits for another; what they write is the same too,
    and one copy of it is enough.
    """
    if parallel.is_primary():
        return Path(workdir).expanduser().resolve()
    return Path(_scratch())


@functools.cache
def _scratch() -> str:
    folder = tempfile.mkdtemp(prefix="ebm_jax_process_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@contextlib.contextmanager
def locked(workdir: Path, *, made: bool = False) -> Iterator[None]:
    """Keeps every other process that asks for the folder's lock out of it.

    The lock is the operating system's, so it ends with the process, however that ends.

    Args:
      workdir: the folder.
      made: whether this process made it; then, where a UserError refuses the run before anything
        is recorded, what it put there is removed, and the folder if nothing else is in it.

    Raises:
      ConfigError: another process has it.
    """
    with open(workdir / ".lock", "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise ConfigError(
                f"'{workdir}' is in use by process {file.read().strip() or 'unknown'}; wait for "
                "it, or choose another --workdir."
            ) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        except UserError:
            if made and not (workdir / "config.json").exists():
                shutil.rmtree(workdir / "checkpoints", ignore_errors=True)
                (workdir / ".lock").unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # something else is in it
                    workdir.rmdir()
            raise
