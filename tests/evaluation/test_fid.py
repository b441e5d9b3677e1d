"""The stand-alone command: its inputs, its JSON, its exit codes. The weights are made up."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ebm_jax.evaluation.fid import main
from ebm_jax.evaluation.fid_protocol import fid
from ebm_jax.evaluation.frechet import moments
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.evaluation.inception.network import shapes
from ebm_jax.evaluation.statistics import Statistics, write_statistics
from tests.evaluation.inception.conftest import made_up


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Weights, two sets of 66 and 70 images in every form, and statistics."""
    folder = tmp_path_factory.mktemp("fid")
    rng = np.random.default_rng(0)
    a = rng.integers(0, 256, (66, 9, 9, 3), dtype=np.uint8)
    b = rng.integers(0, 128, (70, 9, 9, 3), dtype=np.uint8)
    np.savez(folder / "weights.npz", **made_up(shapes(["64"])))
    for name, images in (("a", a), ("b", b)):
        np.savez(folder / f"{name}.npz", images=images)
        for i, image in enumerate(images):
            file = folder / name / f"class{i % 2}" / f"{i:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(file)
    extractor = open_extractor(["64"], weights=folder / "weights.npz")
    fits = {name: moments(extractor(x)["64"]) for name, x in (("a", a), ("b", b))}
    write_statistics(folder / "b_statistics.npz", Statistics(fits["b"]))
    np.savez(folder / "foreign.npz", mu=fits["b"].mean, sigma=fits["b"].covariance)
    np.savez(folder / "wide.npz", mu=np.zeros(192), sigma=np.eye(192))
    return folder, fid(fits["a"], fits["b"])


def run(capsys, folder, *arguments):
    """(exit code, the last line's JSON, stderr)."""
    paths = [str(folder / name) if not name.startswith("-") else name for name in arguments[:2]]
    weights = ["--weights", str(folder / "weights.npz"), "--features", "64"]
    code = main([*paths, *weights, *arguments[2:]])
    captured = capsys.readouterr()
    return code, json.loads(captured.out.splitlines()[-1]) if captured.out else None, captured.err


@pytest.mark.parametrize(
    "a, b, count",
    [
        ("a.npz", "b.npz", 70),
        ("a", "b.npz", 70),
        ("a", "b", 70),
        ("a.npz", "b_statistics.npz", 70),
        ("a.npz", "foreign.npz", None),
    ],
)
def test_every_form_gives_the_same_number(capsys, files, a, b, count):
    folder, expected = files
    code, result, error = run(capsys, folder, a, b)
    assert (code, error) == (0, "")
    assert set(result) == {"metric", "value", "n_a", "n_b", "protocol"}
    assert result["value"] == pytest.approx(expected, rel=1e-4)
    assert (result["n_a"], result["n_b"]) == (66, count)
    assert result["metric"] == "fid64_n66_clean"
    assert "resize clean" in result["protocol"]


def test_resize_is_in_the_name_and_the_number(capsys, files):
    folder, expected = files
    _, result, _ = run(capsys, folder, "a.npz", "b.npz", "--resize", "legacy")
    assert result["metric"] == "fid64_n66_legacy"
    assert abs(result["value"] / expected - 1) > 1e-3


def test_images_of_many_sizes(capsys, files, tmp_path):
    folder, _ = files
    rng = np.random.default_rng(2)
    for i in range(66):
        pixels = rng.integers(0, 256, (8 + i % 3, 9, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    code, result, _ = run(capsys, folder, str(tmp_path), "b_statistics.npz")
    assert code == 0 and result["n_a"] == 66 and result["value"] > 0


def test_statistics_alone_need_no_weights(capsys, files, monkeypatch, tmp_path):
    folder, _ = files
    monkeypatch.delenv("EBM_JAX_INCEPTION", raising=False)
    monkeypatch.setenv("EBM_JAX_CACHE", str(tmp_path))
    paths = [str(folder / "b_statistics.npz"), str(folder / "foreign.npz")]
    assert main(paths) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["value"] == pytest.approx(0, abs=1e-6)
    assert result["metric"] == "fid64_n70_statistics"
    assert main([str(folder / "a.npz"), str(folder / "b.npz"), "--features", "64"]) == 3
    assert "there is no file of Inception weights" in capsys.readouterr().err


@pytest.mark.parametrize(
    "b, options, code, message",
    [
        ("none.npz", (), 3, "there is no '.*none.npz'"),
        ("weights.npz", (), 3, "neither `images` nor `mu` and `sigma`"),
        ("wide.npz", (), 2, "these have 192 and 64; choose --features"),
        ("b.npz", ("--features", "192"), 2, "needs at least 193 images in '.*a.npz'"),
        ("empty", (), 3, "has no images; put files there"),
        ("broken", (), 3, "the image '.*x.png' cannot be read"),
        ("floats.npz", (), 3, "dtype float64 .*store uint8"),
        ("text.npz", (), 3, "is no .npz file"),
    ],
)
def test_errors_are_sentences(capsys, files, b, options, code, message):
    folder, _ = files
    (folder / "empty").mkdir(exist_ok=True)
    (folder / "broken").mkdir(exist_ok=True)
    for i in range(66):
        (folder / "broken" / ("x.png" if i == 0 else f"y{i}.png")).write_bytes(b"no image")
    np.savez(folder / "floats.npz", images=np.zeros((70, 9, 9, 3)))
    (folder / "text.npz").write_text("hello")
    found, _, error = run(capsys, folder, "a.npz", b, *options)
    assert found == code
    assert error.startswith("error: ") and error.count("\n") == 1
    assert re.search(message, error)


def test_as_a_command(files):
    folder, _ = files
    command = [sys.executable, "-m", "ebm_jax.evaluation.fid"]
    pair = [str(folder / "b_statistics.npz"), str(folder / "foreign.npz")]
    ended = subprocess.run([*command, *pair], capture_output=True, text=True)
    assert ended.returncode == 0 and ended.stderr == ""
    assert json.loads(ended.stdout.splitlines()[-1])["n_a"] == 70
    ended = subprocess.run([*command, *pair, "--features", "100"], capture_output=True, text=True)
    assert ended.returncode == 2 and "invalid choice: '100'" in ended.stderr
