"""Finished parts of a long evaluation, kept so that a rerun after a kill goes on.

A shard is one chunk's arrays in `<folder>/00012.npz`. It carries a digest of everything that its
numbers depend on; a shard with another digest, or a damaged one, is made again.
"""

import hashlib
import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ebm_jax import parallel
from ebm_jax.evaluation.context import Context
from ebm_jax.reporting.files import plain, write_npz
from ebm_jax.reporting.progress import human_time

Arrays = dict[str, np.ndarray]
_QUIET = 15.0  # seconds between lines of progress


def resumable(
    folder: Path, guard: str, count: int, make: Callable[[int], Arrays]
) -> Iterator[Arrays]:
    """Chunks 0 to count - 1 in order: from their shards, or else made and kept.

    A chunk gives the same arrays, bit by bit, whether it was made now or read. Where there are
    several processes, all must iterate: process 0 keeps the shards and tells the others.

    Args:
      folder: of the shards.
      guard: digest of what the arrays depend on.
      count: chunks.
      make: k → arrays of chunk k, called only for missing ones.
    """
    told, made = time.monotonic(), []
    for k in range(count):
        path = folder / f"{k:05d}.npz"
        content = from_primary(path)
        found = _read(content, guard)
        # Process 0 decides: the others' guards hold digests of their own networks.
        if not parallel.from_primary(np.asarray(found is not None)):
            started = time.monotonic()
            found = {name: np.asarray(value) for name, value in make(k).items()}
            made.append(time.monotonic() - started)
            if parallel.is_primary():
                write_npz(path, {"guard": np.asarray(guard), **found})
        elif found is None:
            found = _read(content)
        if made and k + 1 < count and time.monotonic() - told > _QUIET:
            told, left = time.monotonic(), sum(made) / len(made) * (count - k - 1)
            if parallel.is_primary():
                words = f"chunk {k + 1} of {count} of {folder.name}"
                print(f"  {words}  ETA {human_time(left)}", flush=True)
        yield found


def digest_of(context: Context, **others: Any) -> str:
    """Digest of a checkpoint under evaluation: step, seed, settings, weights; and of `others`.

    Settings are left out that change no chunk: which tasks run, and what is made of the scores.
    """
    settings = json.loads(json.dumps(plain(context.config.to_dict())))
    for name in ("tasks", "bootstrap", "last_checkpoints", "sample_sets"):
        settings["eval"].pop(name, None)
    digest = hashlib.sha256()
    told = {"step": context.step, "settings": settings, "others": plain(others)}
    digest.update(json.dumps(told, sort_keys=True).encode())
    for leaf in jax.tree.leaves(context.state):
        digest.update(np.ascontiguousarray(leaf))
    return digest.hexdigest()[:32]


def folder_of(context: Context, task: str, part: str) -> Path:
    """`<workdir>/eval/shards/<task>/<part>`."""
    return context.folder / "shards" / task / part


def remove(context: Context, task: str) -> None:
    """Removes a finished task's shards."""
    shutil.rmtree(context.folder / "shards" / task, ignore_errors=True)
    shards = context.folder / "shards"
    if shards.is_dir() and not any(shards.iterdir()):
        shards.rmdir()


def from_primary(path: Path) -> bytes:
    """Process 0's bytes of a file on every process; empty where it has none."""
    content = path.read_bytes() if parallel.is_primary() and path.is_file() else b""
    if jax.process_count() == 1:
        return content
    size = int(parallel.from_primary(np.asarray(len(content))))
    if not size:
        return b""
    sent = np.frombuffer(content or bytes(size), np.uint8)  # the same shape on all
    return parallel.from_primary(sent).tobytes()


def _read(content: bytes, guard: str | None = None) -> Arrays | None:
    """A shard's arrays, or None when it is missing, damaged, or of another digest than `guard`."""
    if not content:
        return None
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}  # the zip's checksums are checked
    except Exception:  # a damaged zip raises a dozen kinds; all mean: make it again
        return None
    found = str(arrays.pop("guard", ""))
    return arrays if guard in (None, found) else None
