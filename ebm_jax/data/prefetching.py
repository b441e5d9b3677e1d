"""Prepares batches ahead of their use in a background thread."""

import collections
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

T = TypeVar("T")

_JOIN_SECONDS = 5.0


def prefetch(fn: Callable[[int], T], first: int, last: int, depth: int) -> Iterator[tuple[int, T]]:
    """Runs fn(k) for k in [first, last), at most `depth` of them ahead of the consumer.

    An exception in fn(k) is raised in the consumer after the batches before k. Closing the
    iterator stops the thread once the call it is in returns.

    Args:
      fn: makes batch k; called in order from one thread.
      first: first k.
      last: one past the last k.
      depth: results kept or in preparation at a time; 0 = no thread.

    Yields:
      (k, fn(k)) in order.
    """
    if depth < 1:
        for k in range(first, last):
            yield k, fn(k)
        return

    changed = threading.Condition()
    ready: collections.deque = collections.deque()  # (value, error) of the next k
    stopped = False

    def produce() -> None:
        for k in range(first, last):
            with changed:
                changed.wait_for(lambda: stopped or len(ready) < depth)
                if stopped:
                    return
            value = error = None
            try:
                value = fn(k)
            except BaseException as caught:  # even SystemExit must not leave the consumer waiting
                error = caught
            with changed:
                ready.append((value, error))
                changed.notify_all()
            if error is not None:
                return

    # A daemon: a read that hangs must not keep an interrupted run alive.
    thread = threading.Thread(target=produce, name="prefetch", daemon=True)
    thread.start()
    try:
        for k in range(first, last):
            with changed:
                changed.wait_for(lambda: ready)
                value, error = ready.popleft()
                changed.notify_all()
            if error is not None:
                raise error
            yield k, value
    finally:
        with changed:
            stopped = True
            changed.notify_all()
        thread.join(_JOIN_SECONDS)
