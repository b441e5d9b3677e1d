"""Folders with files that are no images, from the beginning or from the middle of a run on."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from ebm_jax.checkpoint import Checkpointer
from tests.faults.commands import SMALL, Process, assert_one_sentence, complete
from tests.test_train import assert_same_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("faults")]


def encoded(kind, seed=0):
    pixels = np.random.default_rng(seed).integers(256, size=(8, 8), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.fixture
def images(tmp_path):
    """A folder of 40 images, of which 36 are for training."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i:02d}.png").write_bytes(encoded("PNG", i))
    return folder


@pytest.mark.parametrize(
    "name, content",
    [
        ("03.png", encoded("PNG")[:60]),
        ("03a.jpg", encoded("JPEG")[:200]),
        ("03.png", b"not an image\n"),
        ("03.png", b""),
    ],
    ids=["png", "jpeg", "text", "empty"],
)
def test_file_that_is_no_image(tmp_path, images, name, content):
    (images / name).write_bytes(content)
    code, errors = Process(tmp_path / "run", SMALL, data__name=f"folder:{images}").end()
    assert code == 3, errors
    assert_one_sentence(errors, str(images / name), "repair or remove it")
    assert not list((tmp_path / "run").rglob("[0-9]*"))  # no checkpoint either


def test_image_breaks_in_the_middle(tmp_path, images, gate):
    settings = dict(data__name=f"folder:{images}", data__cache_gib=0)
    complete(tmp_path / "whole", SMALL, **settings)
    run = tmp_path / "run"
    process = Process(run, gate.config, **settings)
    process.until(gate.reached)
    broken = images / "17.png"
    shutil.move(broken, tmp_path / "kept.png")
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    gate.open()
    code, errors = process.end()
    assert code == 3, errors
    assert_one_sentence(errors, str(broken), "repair or remove it")
    assert max(Checkpointer(run, read_only=True).steps()) >= 30
    shutil.move(tmp_path / "kept.png", broken)
    output, errors = complete(run, SMALL, **settings)
    assert "resuming from step" in output and "cannot be read" not in errors
    assert_same_run(run, tmp_path / "whole")
