import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboardX.proto.event_pb2 import Event

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.writers import MetricWriter, read_metrics


def events(workdir):
    """All TensorBoard events of a workdir, file by file in the order written."""
    found = []
    for path in sorted((workdir / "tensorboard").iterdir(), key=lambda p: p.stat().st_mtime_ns):
        content = path.read_bytes()
        while content:  # each record: length, its checksum, the event, its checksum
            length = int.from_bytes(content[:8], "little")
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def test_lines_are_flushed_and_nan_is_null(tmp_path):
    writer = MetricWriter(tmp_path, -1)
    metrics = {"a": np.float32(0.5), "b": math.nan, "c": -math.inf, "n": np.int64(3), "d": True}
    writer.write_scalars(np.int64(7), metrics | {"e": np.ones((1,))})
    text = (tmp_path / "metrics.jsonl").read_text()  # before close: a killed run has its lines
    expected = {"step": 7, "a": 0.5, "b": None, "c": None, "n": 3, "d": True, "e": 1.0}
    assert text.endswith("\n") and json.loads(text) == expected
    assert "NaN" not in text and "Infinity" not in text
    writer.close()
    writer.close()
    assert read_metrics(tmp_path) == [expected]


def test_a_resumed_run_has_no_duplicates(tmp_path):
    with MetricWriter(tmp_path, -1) as writer:
        for step in (10, 20, 30):
            writer.write_scalars(step, {"loss": step})
    with open(tmp_path / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 40, "lo')
    assert [row["step"] for row in read_metrics(tmp_path)] == [10, 20, 30]
    with MetricWriter(tmp_path, 20) as writer:
        writer.write_scalars(30, {"loss": -30})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 10, "loss": 10},
        {"step": 20, "loss": 20},
        {"step": 30, "loss": -30},
    ]
    starts = [event.step for event in events(tmp_path) if event.HasField("session_log")]
    assert starts == [0, 21]  # TensorBoard discards events from that step on


@pytest.mark.parametrize("resume_step, kept", [(None, [10, 20]), (0, []), (-1, []), (10, [10])])
def test_what_is_kept_on_restart(tmp_path, resume_step, kept):
    torn = '{"step": 10, "a": 1}\n{"step": 20, "a": 2}\n{"step": 3'
    (tmp_path / "metrics.jsonl").write_text(torn)
    with MetricWriter(tmp_path, resume_step) as writer:
        writer.write_scalars(99, {"a": 3})
    assert [row["step"] for row in read_metrics(tmp_path)] == [*kept, 99]


def test_scalars_and_images_reach_tensorboard_and_disk(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 5, 3), np.uint8)
    with MetricWriter(tmp_path, -1) as writer:
        writer.write_scalars(5, {"loss/total": 2.5, "bad": math.nan})
        writer.write_images(5, {"prior": pixels})
    saved = np.asarray(Image.open(tmp_path / "samples" / "prior_00000005.png"))
    np.testing.assert_array_equal(saved, pixels)
    values = {v.tag: (e.step, v) for e in events(tmp_path) for v in e.summary.value}
    assert set(values) == {"loss/total", "samples/prior"}
    assert values["loss/total"][0] == 5 and values["loss/total"][1].simple_value == 2.5
    image = values["samples/prior"][1].image
    assert (image.height, image.width) == (6, 5)


def test_two_writers_in_a_second_keep_both_event_files(tmp_path):
    for _ in range(2):
        MetricWriter(tmp_path).close()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


def test_metrics_that_are_no_number_are_refused(tmp_path):
    with MetricWriter(tmp_path, -1) as writer:
        with pytest.raises(ConfigError, match="'loss' is ndarray of shape"):
            writer.write_scalars(1, {"loss": np.zeros(2)})
        with pytest.raises(ConfigError, match="named 'step'"):
            writer.write_scalars(1, {"step": 2})
    assert read_metrics(tmp_path) == []
    assert read_metrics(tmp_path / "nowhere") == []


def test_json_is_strict_sorted_and_atomic(tmp_path):
    content = {
        "z": np.float32(0.5),
        "a": [np.int64(1), math.nan, {"inf": math.inf}],
        "array": np.array([[1.0, np.nan]]),
        "path": Path("x/y"),
        "tuple": (True, None),
        "é": "ü",
    }
    path = write_json(tmp_path / "new" / "a.json", content)
    text = path.read_text(encoding="utf-8")

    def refuse(name):
        raise AssertionError(name)

    assert json.loads(text, parse_constant=refuse) == {
        "a": [1, None, {"inf": None}],
        "array": [[1.0, None]],
        "path": "x/y",
        "tuple": [True, None],
        "z": 0.5,
        "é": "ü",
    }
    assert text.index('"a"') < text.index('"path"') < text.index('"z"')
    assert "\n  " in text and text.endswith("}\n")
    with pytest.raises(TypeError, match="no form in JSON"):
        write_json(path, {"f": object()})
    assert path.read_text(encoding="utf-8") == text
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]
