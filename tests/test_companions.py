"""How a process that has companions ends; with real ones in tests/faults/test_hosts.py."""

import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, os, sys, threading, time
import jax
from ebm_jax import companions
from ebm_jax.errors import DataError, UserError

jax.process_count = lambda: {count}
companions._GRACE = 0.5
try:
    with companions.joined():
        {work}
except UserError as error:
    print(f"error: {{error}}", file=sys.stderr)
    {after}
    sys.exit(error.exit_code)
"""
ABORT = "threading.Thread(target=ctypes.CDLL(None).abort).start(); time.sleep(60)"
STUCK = "time.sleep(60)"  # at JAX's barrier


def run(work, count=2, after="pass"):
    script = SCRIPT.format(work=work, count=count, after=after)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "work, after",
    [
        (ABORT, "pass"),
        (
            "raise jax.errors.JaxRuntimeError('INTERNAL: Gloo all-reduce failed: reset by peer')",
            STUCK,
        ),
        ("raise jax.errors.JaxRuntimeError('UNAVAILABLE: x')", ABORT),
    ],
    ids=["aborted", "exchange", "exchange-then-aborted"],
)
def test_lost_companion(work, after):
    code, errors = run(work, after=after)
    assert code == 2, errors
    assert errors.startswith("error: another of the 2 processes of this run has ended")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("after", [STUCK, ABORT], ids=["stuck", "aborted"])
def test_own_error_keeps_its_sentence_and_code(after):
    assert run("raise DataError('no data.')", after=after) == (3, "error: no data.\n")


def test_output_that_nobody_reads_holds_nothing_up():
    """Standard output is a closed pipe with something left to flush."""
    closed = "r, w = os.pipe(); os.close(r); sys.stdout = os.fdopen(w, 'w'); sys.stdout.write('x')"
    code, errors = run(f"{closed}; raise DataError('no data.')", after=STUCK)
    assert (code, errors) == (3, "error: no data.\n")


@pytest.mark.parametrize("count, text", [(1, "Gloo failed"), (2, "INVALID_ARGUMENT: a mistake")])
def test_other_errors_stay_what_they_are(count, text):
    code, errors = run(f"raise jax.errors.JaxRuntimeError('{text}')", count)
    assert code == 1
    assert errors.strip().endswith(f"JaxRuntimeError: {text}")
