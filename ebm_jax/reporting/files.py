"""Atomic files: a reader, or a run killed half-way, sees the old file or the new one."""

import io
import json
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np


def write_bytes(path: str | os.PathLike, content: bytes) -> Path:
    """Writes a whole file atomically, making its folder when needed.

    Args:
      path: the file to write or replace.
      content: all of it.

    Returns:
      The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same folder, since a rename is atomic only within one file system.
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def write_text(path: str | os.PathLike, text: str) -> Path:
    """`write_bytes` for UTF-8 text."""
    return write_bytes(path, text.encode("utf-8"))


def write_npz(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> Path:
    """`write_bytes` for named arrays, as `numpy.load` reads them."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return write_bytes(path, buffer.getvalue())


def plain(value):
    """Turns numpy and container types into what strict JSON can hold.

    Args:
      value: nested mappings, sequences, numpy or jax scalars and arrays, paths, strings, numbers.

    Returns:
      The same in dict, list, str, int, float, bool and None; NaN and infinities become None, which
      JSON has no other word for.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping) or hasattr(value, "items"):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if hasattr(value, "__array__"):
        array = np.asarray(value)
        if array.dtype.kind == "V" or array.dtype.name == "bfloat16":
            array = array.astype(np.float32)  # ml_dtypes' floats are not Python numbers
        return plain(array.tolist())
    raise TypeError(f"{type(value).__name__} has no form in JSON; convert it first.")


def write_json(path: str | os.PathLike, obj) -> Path:
    """Writes `obj` as sorted, indented JSON, atomically.

    Args:
      path: the file to write or replace.
      obj: anything `plain` takes.

    Returns:
      The path.

    Raises:
      TypeError: a value has no form in JSON.
    """
    text = json.dumps(plain(obj), indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False)
    return write_text(path, text + "\n")
