"""Files of strangers: no code in them runs, and what cannot be read ends with a sentence.

docs/faults.md says which files are data and which are code.
"""

import io
import json
import pickle
import shutil
import subprocess
import sys
import warnings
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import flax.serialization
import jax
import msgpack
import numpy as np
import pytest

from ebm_jax import data, export, modes, provenance, stored_config
from ebm_jax.checkpoint import Checkpointer
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.image_files import open_images
from ebm_jax.evaluation.inception.network import shapes
from ebm_jax.evaluation.inception.torch_file import read_state_dict
from ebm_jax.evaluation.inception.weights import load_weights
from ebm_jax.evaluation.statistics import read_statistics
from ebm_jax.reporting.report import write_report
from ebm_jax.reporting.writers import read_metrics
from tests.test_checkpoint import saved, state_of
from tests.test_train import tiny_config, trained_workdir

ROOT = Path(__file__).resolve().parent.parent
DEEP = "[" * 100_000  # deeper than Python's JSON reader goes


class Payload:
    """Makes the file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path):
    """A file that only code out of a hostile file makes; its pickle does, as is tried first."""
    path = tmp_path / "marker"
    pickle.loads(pickle.dumps(Payload(path)))
    assert path.exists()
    path.unlink()
    yield path
    assert not path.exists(), "code of a hostile file ran"


@pytest.fixture
def pickled(marker):
    return pickle.dumps(Payload(marker))


@pytest.fixture
def objects(tmp_path, marker):
    """An .npz whose every array that is asked for is a pickled object."""
    path = tmp_path / "objects.npz"
    array = np.empty(12, object)
    array[:] = [Payload(marker)] * 12
    np.savez(path, images=array, mu=array, sigma=array, labels=array)
    return path


def test_npz_of_objects(objects):
    c = tiny_config().data
    c.name = f"npz:{objects}"
    for read in (
        lambda: data.open_dataset(c, "train"),
        lambda: open_images(objects, "clean"),
        lambda: read_statistics(objects),
    ):
        with pytest.raises(DataError, match="Object arrays cannot be loaded"):
            read()


def test_inception_weights_of_objects(tmp_path, marker):
    array = np.empty(1, object)
    array[0] = Payload(marker)
    np.savez(tmp_path / "weights.npz", **dict.fromkeys(shapes(["64"]), array))  # all are read
    with pytest.raises(DataError, match="Object arrays cannot be loaded"):
        load_weights(["64"], tmp_path / "weights.npz")


@pytest.mark.parametrize("kind", ["npz", "images", "statistics", "weights", "torch"])
def test_pickle_in_the_place_of_a_file(tmp_path, pickled, kind):
    path = tmp_path / "file.npz"
    path.write_bytes(pickled)
    c = tiny_config().data
    c.name = f"npz:{path}"
    read = {
        "npz": lambda: data.open_dataset(c, "train"),
        "images": lambda: open_images(path, "clean"),
        "statistics": lambda: read_statistics(path),
        "weights": lambda: load_weights(["64"], path),
        "torch": lambda: read_state_dict(path),
    }[kind]
    with pytest.raises(DataError) as caught:
        read()
    assert "\n" not in str(caught.value)


def test_array_that_is_larger_than_its_file(tmp_path):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|u1", "fortran_order": False, "shape": (10**15, 8, 8, 1)}
    )
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as file:
        file.writestr("images.npy", header.getvalue())
    c = tiny_config().data
    c.name = f"npz:{tmp_path / 'bomb.npz'}"
    with pytest.raises(DataError, match="cannot be read as a NumPy archive"):
        data.open_dataset(c, "train")


@pytest.fixture
def exported(tmp_path):
    return shutil.copytree(trained_workdir() / "export", tmp_path / "export")


def array_of(shape, dtype, content):
    """flax's form of an array."""
    return msgpack.ExtType(1, msgpack.packb((shape, dtype, content), use_bin_type=True))


HOSTILE_PARAMETERS = {
    "objects": msgpack.packb({"params": {"w": array_of((1,), "object", b"\0" * 8)}, "extra": {}}),
    "records": msgpack.packb({"params": {"w": array_of((1,), "O,O", b"\0" * 16)}, "extra": {}}),
    "unknown type": msgpack.packb({"params": {"w": msgpack.ExtType(42, b"x")}, "extra": {}}),
    "huge shape": msgpack.packb({"params": array_of((10**15,), "float32", b""), "extra": {}}),
    "huge list": b"\xdd\xff\xff\xff\xff",
    "huge text": b"\xdb\xff\xff\xff\xff",
    "nested": b"\x91" * 100_000,
    "chunks": msgpack.packb({"params": {"w": {"__msgpack_chunked_array__": 1}}, "extra": {}}),
    "other keys": msgpack.packb({"params": {}, "extra": {}, "__class__": "x"}),
    "text": msgpack.packb({"params": "x", "extra": {}}),
    "no arrays": msgpack.packb({"params": {}, "extra": {}}),
}


@pytest.mark.parametrize("name", HOSTILE_PARAMETERS)
def test_hostile_parameters(exported, name):
    (exported / "params.msgpack").write_bytes(HOSTILE_PARAMETERS[name])
    with pytest.raises(DataError, match="the export in .* cannot be read .*; take it again"):
        export.load(exported)


def test_pickle_in_the_place_of_parameters(exported, pickled):
    for content in (pickled, msgpack.packb({"params": msgpack.ExtType(1, pickled), "extra": {}})):
        (exported / "params.msgpack").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            export.load(exported)


def test_parameters_of_another_shape(exported):
    path = exported / "params.msgpack"
    raw = flax.serialization.msgpack_restore(path.read_bytes())
    raw["params"]["prior"] = jax.tree.map(lambda x: x[..., :1], raw["params"]["prior"])
    path.write_bytes(flax.serialization.msgpack_serialize(raw))
    with pytest.raises(DataError, match=r"params/prior/\S+ is \(.*\) and by its config.json \("):
        export.load(exported)


HOSTILE_JSON = {
    "deep": DEEP,
    "long number": '{"config": ' + "9" * 5000 + "}",
    "python": '{"config": {"__reduce__": ["os.system", "x"], "train": "!!python/object:os"}}',
    "list": '{"config": [1, 2], "step": 1}',
    "numbers": '{"config": 3, "step": []}',
}


@pytest.mark.parametrize("name", HOSTILE_JSON)
def test_hostile_config(tmp_path, exported, name):
    (exported / "config.json").write_text(HOSTILE_JSON[name])
    with pytest.raises(DataError, match="cannot be read"):
        export.load(exported)
    with pytest.raises(DataError, match="cannot be read; take the export again"):
        stored_config.get_config(str(exported))
    (tmp_path / "config.json").write_text(HOSTILE_JSON[name])
    (tmp_path / "checkpoints" / "1").mkdir(parents=True)
    with pytest.raises(ConfigError):
        provenance.check_same_run(tiny_config(), tmp_path)


@pytest.mark.parametrize(
    "setting, value",
    [
        ("data.name", 3),
        ("method.name", ["joint"]),
        ("train.num_steps", "many"),
        ("train", 5),
        ("data.image_size", None),
        ("optim.energy", "x"),
        ("model.latent_sizes", {"a": 1}),
        ("eval.tasks", 7),
        ("seed", True),
    ],
)
def test_settings_of_other_types(exported, setting, value):
    described = json.loads((exported / "config.json").read_text())
    *groups, name = setting.split(".")
    inner = described["config"]
    for group in groups:
        inner = inner[group]
    inner[name] = value
    (exported / "config.json").write_text(json.dumps(described))
    with pytest.raises(DataError if setting == "train" else ConfigError):  # no group, no config
        modes.run("dry_run", stored_config.get_config(str(exported)), None)


HOSTILE_FILES = {
    "config.json": b'{"config": {"train": "x", "seed": {}, "__class__": 1}, "step": 1}',
    "params.msgpack": b"\x80\x04cos\nsystem\n",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_command_line_on_a_hostile_export(exported, name):
    (exported / name).write_bytes(HOSTILE_FILES[name])
    command = [sys.executable, "-m", "ebm_jax.main", "--mode=sample", f"--workdir={exported}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_hostile_metrics(tmp_path):
    lines = [
        DEEP,
        "9" * 5000,
        '{"step": true}',
        '{"step": 1e400}',
        '{"step": ' + "9" * 400 + "}",
        '{"step": -3}',
        '{"step": 10, "a": 1.5, "b": "<script>", "c": [1], "d": {"e": 1}, "f": null, "g": '
        + "9" * 400
        + ', "time/elapsed_minutes": "x"}',
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(lines))
    assert read_metrics(tmp_path) == [{"step": 10, "a": 1.5, "f": None}]
    write_report(tmp_path)


class Attributes(HTMLParser):
    """The attributes of all elements of a page, as a browser reads it."""

    def __init__(self, text):
        super().__init__()
        self.names = set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.names |= {name for name, _ in attributes}


SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>'


def test_report_escapes_what_it_shows(tmp_path):
    """Names and values of all files, the folder's own name too."""
    run = tmp_path / "a<script>alert(1)<b>"
    (run / "eval").mkdir(parents=True)
    (run / "samples").mkdir()
    described = {
        "config": {SCRIPT: SCRIPT, "method": {"name": SCRIPT}, "data": {"name": SCRIPT}},
        **{name: SCRIPT for name in ("command", "git_commit", "hardware", "started")},
        "versions": {SCRIPT: SCRIPT},
    }
    (run / "config.json").write_text(json.dumps(described))
    rows = [{"step": step, f"{SCRIPT}/loss": 1.0} for step in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    explorer = {
        "file": "../../secret.png",
        "tile": [1, 1],
        "places": [0.0, 1.0],
        "layers": [{"title": SCRIPT, "units": [SCRIPT], "values": [[0.5]]}],
        "note": SCRIPT,
    }
    task = {
        "metric": SCRIPT,
        "protocol": SCRIPT,
        "figures": {"t_x.png": SCRIPT},
        "results": {SCRIPT: {SCRIPT: SCRIPT}},
        "dataset": SCRIPT,
        "explorer": explorer,
        SCRIPT: 1.0,
    }
    (run / "eval" / "t.json").write_text(json.dumps(task))
    (run / "eval" / "<script>.json").write_text(json.dumps({"a": SCRIPT}))
    (run / "eval" / "t_x.png").write_bytes(SCRIPT.encode())
    (run / "samples" / "prior<script>_00000003.png").write_bytes(SCRIPT.encode())
    html = write_report(run).read_text("utf-8")
    assert "&lt;script&gt;alert(1)" in html
    assert "<script" not in html.lower()  # the explorer, whose sprite is missing, is not shown
    assert "onerror" not in Attributes(html).names
    assert "default-src 'none'" in html


def test_hostile_checkpoint(tmp_path, pickled):
    """Each file of the newest checkpoint, one after the other, is a pickle."""
    saved(tmp_path, 1, 2)
    whole = shutil.copytree(tmp_path / "checkpoints", tmp_path / "whole")
    files = [p.relative_to(whole) for p in (whole / "2").rglob("*") if p.is_file()]
    assert len(files) > 5
    for file in files:
        shutil.rmtree(tmp_path / "checkpoints")
        shutil.copytree(whole, tmp_path / "checkpoints")
        (tmp_path / "checkpoints" / file).write_bytes(pickled)
        with warnings.catch_warnings(action="ignore"):
            step, state = Checkpointer(tmp_path, read_only=True).restore(state_of(0))
        expected = state_of(step)["params"]["w"]
        assert state["params"]["w"].tobytes() == expected.tobytes(), file


@pytest.mark.parametrize("text", ["[]", "3", '"x"', DEEP, '{"count": 1}'])
def test_hostile_description_of_a_checkpoint(tmp_path, text):
    saved(tmp_path, 1)
    (tmp_path / "checkpoints" / "1" / "shapes" / "metadata").write_text(text)
    with pytest.raises(ConfigError, match="can be read|does not fit the config"):
        Checkpointer(tmp_path, read_only=True).restore(state_of(0))
