"""PyTorch's state dict files without PyTorch: a pickle of which almost everything is refused.

`torch.save` writes either a zip (since PyTorch 1.6: `*/data.pkl` and one raw file per storage in
`*/data/`) or, before that, five pickles in a row followed by the storages. Both are read. The
unpickler knows ordered dicts and tensors; any other name in the file ends the reading, so that a
file cannot run code.
"""

import collections
import io
import math
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ebm_jax.errors import DataError

_MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of the older format
_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "?",
}


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Tensors of a file written by `torch.save(model.state_dict(), path)`.

    Args:
      path: the file.

    Returns:
      {name: array}.

    Raises:
      DataError: no such file, another format, damage, or anything but tensors in it.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataError(f"there is no file '{path}'; give the PyTorch file to convert.")
    try:
        found = _read_zip(path) if zipfile.is_zipfile(path) else _read_older(path)
    except DataError:
        raise
    except Exception as error:  # damaged pickles and zips raise a dozen kinds
        raise DataError(
            f"'{path}' cannot be read as a PyTorch file ({error}); download it again."
        ) from error
    if not isinstance(found, dict) or not all(isinstance(v, _Tensor) for v in found.values()):
        raise DataError(
            f"'{path}' holds something else than a dictionary of tensors; save model.state_dict()."
        )
    try:
        return {str(name): tensor.array() for name, tensor in found.items()}
    except ValueError as error:
        raise DataError(f"'{path}' is damaged ({error}); download it again.") from error


class _Storage:
    """A run of numbers; in the older format its bytes follow the tensors that use them."""

    def __init__(self, dtype: str, size: int):
        self.dtype, self.size, self.data = np.dtype(dtype), size, b""


class _Tensor:
    """A strided window on a storage."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple, strides: tuple):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> np.ndarray:
        storage = self.storage
        if len(storage.data) != storage.size * storage.dtype.itemsize:
            raise ValueError(
                f"a storage has {len(storage.data)} bytes instead of "
                f"{storage.size * storage.dtype.itemsize}"
            )
        numbers = np.frombuffer(storage.data, storage.dtype)
        if math.prod(self.shape) == 0:
            return np.zeros(self.shape, storage.dtype)
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((n - 1) * step for n, step in steps)
        if min(self.offset, *self.strides, 0) < 0 or last >= storage.size:
            raise ValueError("a tensor reaches beyond its storage")
        strides = [step * storage.dtype.itemsize for step in self.strides]
        window = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
        return np.array(window)


def _rebuild_tensor(storage, offset, shape, strides, *_) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise ValueError("a tensor without a storage")
    return _Tensor(storage, int(offset), tuple(shape), tuple(strides))


def _rebuild_parameter(tensor, *_) -> _Tensor:
    return tensor


class _Unpickler(pickle.Unpickler):
    """Knows the few names that a state dict consists of."""

    def __init__(self, file, storages: dict[str, _Storage]):
        super().__init__(file, encoding="utf-8")
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        known = {
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
            ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
        }
        if (module, name) in known:
            return known[module, name]
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise DataError(
            f"the PyTorch file names {module}.{name}, which a dictionary of tensors does not need; "
            "save model.state_dict() alone."
        )

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, size, *view = pid
        if kind != "storage" or dtype not in _DTYPES.values() or any(view):
            raise ValueError(f"an unknown kind of storage, {kind}")
        storage = self._storages.setdefault(str(key), _Storage(dtype, int(size)))
        if (storage.dtype, storage.size) != (np.dtype(dtype), int(size)):
            raise ValueError(f"storage {key} is described in two ways")
        return storage


def _read_zip(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        (index,) = [name for name in names if name.count("/") == 1 and name.endswith("/data.pkl")]
        folder = index.removesuffix("data.pkl")
        if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("its numbers are big-endian")
        storages: dict[str, _Storage] = {}
        found = _Unpickler(io.BytesIO(archive.read(index)), storages).load()
        for key, storage in storages.items():
            storage.data = archive.read(f"{folder}data/{key}")
    return found


def _read_older(path: Path) -> Any:
    with open(path, "rb") as file:
        storages: dict[str, _Storage] = {}
        if _Unpickler(file, storages).load() != _MAGIC:
            raise ValueError("it does not begin as PyTorch's files do")
        _Unpickler(file, storages).load()  # version of the format
        if not _Unpickler(file, storages).load().get("little_endian", True):
            raise ValueError("its numbers are big-endian")
        found = _Unpickler(file, storages).load()
        for key in _Unpickler(file, storages).load():
            storage = storages[str(key)]
            (size,) = struct.unpack("<q", file.read(8))
            if size != storage.size:
                raise ValueError(f"storage {key} has {size} numbers instead of {storage.size}")
            storage.data = file.read(size * storage.dtype.itemsize)
    return found
