"""How one process of several ends: never without a sentence, never waiting for what is gone."""

import atexit
import contextlib
import ctypes
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator

import jax

from ebm_jax.errors import ConfigError, DivergedError, PreemptedError, as_user_error

_GRACE = 20.0  # seconds in which the others may end too, after this process has failed alone
_TOGETHER = (PreemptedError, DivergedError)  # all processes end so, at the same step
# In what JAX says when a collective or the coordination of the processes fails.
_COMPANY = re.compile(
    r"gloo|nccl|collective|coordination|peer|socket|heartbeat|barrier|UNAVAILABLE", re.IGNORECASE
)


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Context of the work of one process; with one process alone it does nothing.

    A process that fails ends after `_GRACE` seconds at the latest, though JAX would wait five
    minutes for the others at exit; and the others, which wait for it in a collective, then fail.
    JAX itself aborts a process whose companions have not been heard of for 100 s; that ends with a
    sentence and an exit code too.

    Raises:
      ConfigError: another process is gone; and whatever the work raises.
    """
    if jax.process_count() == 1:
        yield
        return
    ending = _Ending()
    ending.take_over_aborts()
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if not _COMPANY.search(str(error)):
            ending.within_grace(1)
            raise
        ending.within_grace(ConfigError.exit_code)
        ending.before_jax()
        raise ConfigError(_lost("the exchange with it failed")) from error
    except _TOGETHER as error:
        ending.expect(error.exit_code)
        raise
    except BaseException as error:
        ending.within_grace(_code(error))
        raise


def _code(error: BaseException) -> int:
    """What the command line will exit with."""
    try:
        return as_user_error(error).exit_code
    except BaseException:  # the error itself: a traceback is what it ends with
        return 1


def _lost(how: str) -> str:
    return (
        f"another of the {jax.process_count()} processes of this run has ended or cannot be "
        f"reached ({how}); see what it said, and start all of them again with the same command: "
        "they go on from the newest checkpoint."
    )


class _Ending:
    """What an abort by JAX means at this moment."""

    def __init__(self):
        self._code = ConfigError.exit_code
        self._sentence = f"error: {_lost('JAX says so, above')}"

    def expect(self, code: int) -> None:
        """From now on the process is about to end with `code`, and has said why."""
        self._code, self._sentence = code, None

    def within_grace(self, code: int) -> None:
        """The same, and it ends within `_GRACE` seconds, whatever JAX waits for."""
        self.expect(code)
        timer = threading.Timer(_GRACE, self._leave)
        timer.daemon = True
        timer.start()

    def before_jax(self) -> None:
        """At exit, once what is being saved is on disk, does not wait for the others at all."""
        atexit.register(self._leave)  # what is registered last runs first

    def take_over_aborts(self) -> None:
        """Ends in place of JAX's abort.

        The abort comes from a thread of JAX's, in which no exception and none of Python's own
        signal handlers would run before the end; a C callback does. It takes the interpreter's
        lock, which JAX gives back wherever it waits for others.
        """
        global _callback
        _callback = ctypes.CFUNCTYPE(None, ctypes.c_int)(lambda _: self._leave())
        ctypes.CDLL(None).signal(int(signal.SIGABRT), _callback)

    def _leave(self):
        try:
            if self._sentence:
                print(self._sentence, file=sys.stderr, flush=True)
            sys.stdout.flush()
        finally:  # a closed pipe is no reason to stay
            os._exit(self._code)


_callback = None  # must outlive the context: C holds its address until the process ends
