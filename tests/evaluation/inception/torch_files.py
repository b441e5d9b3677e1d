"""Files of the two formats of `torch.save`, written by hand from their description."""

import io
import pickle
import struct
import zipfile

import numpy as np

STORAGES = {"f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage", "f2": "HalfStorage"}
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Global:
    """A name that is pickled as itself: module and attribute need not exist here."""

    def __init__(self, module, name):
        self.module, self.name = module, name


class Storage:
    """Pickled as the persistent id that torch gives its storages."""

    def __init__(self, key, values):
        self.key, self.values = key, values


class Call:
    """Pickled as a call of a Global with arguments."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


class Pickler(pickle._Pickler):
    """Python's own pickler, with names and persistent ids of our choice."""

    def __init__(self, file, older):
        super().__init__(file, protocol=2)
        self.older = older

    def save(self, obj, *rest, **options):
        if isinstance(obj, Global):
            self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(b"R")
        else:
            super().save(obj, *rest, **options)

    def persistent_id(self, obj):
        if not isinstance(obj, Storage):
            return None
        kind = Global("torch", STORAGES[obj.values.dtype.str[1:]])
        found = ("storage", kind, obj.key, "cpu", obj.values.size)
        return (*found, None) if self.older else found


def tensor(key, array, strides=None, offset=0, values=None):
    """What torch pickles for an array: a window on a storage."""
    array = np.asarray(array)
    values = array.ravel() if values is None else values
    steps = [int(s // array.itemsize) for s in array.strides] if strides is None else strides
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    hooks = Call(Global("collections", "OrderedDict"))
    return Call(rebuild, Storage(key, values), offset, array.shape, tuple(steps), False, hooks)


def dumps(value, older=False):
    buffer = io.BytesIO()
    Pickler(buffer, older).dump(value)
    return buffer.getvalue()


def write_zip(path, value, storages, byteorder="little"):
    """The format since PyTorch 1.6. storages: {key: array}."""
    with zipfile.ZipFile(path, "w") as archive:  # stored, as torch does
        archive.writestr("archive/data.pkl", dumps(value))
        archive.writestr("archive/byteorder", byteorder)
        for key, values in storages.items():
            archive.writestr(f"archive/data/{key}", values.tobytes())
        archive.writestr("archive/version", "3\n")


def write_older(path, value, storages):
    """The format before: pickles in a row, then each storage behind its size."""
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"int": 4}}
    with open(path, "wb") as file:
        for part in (MAGIC, PROTOCOL, system):
            file.write(dumps(part))
        file.write(dumps(value, older=True))
        file.write(dumps(sorted(storages)))
        for key in sorted(storages):
            file.write(struct.pack("<q", storages[key].size) + storages[key].tobytes())


def state_dict(arrays):
    """{name: array} as (value to write, storages)."""
    keys = {name: str(i) for i, name in enumerate(arrays)}
    value = {name: tensor(keys[name], array) for name, array in arrays.items()}
    return value, {keys[name]: np.ascontiguousarray(array) for name, array in arrays.items()}
