"""Committed exports: small, loaded by today's code, with cards whose numbers are on record."""

import hashlib
import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebm_jax
from ebm_jax import methods, pretrained

ROOT = Path(__file__).resolve().parent.parent
EXPORTS = sorted(path.parent for path in (ROOT / "pretrained").glob("*/params.msgpack"))
CARDS = [folder for folder in EXPORTS if (folder / "card.json").is_file()]
MOST_BYTES = 5e6


def each(folders):
    return pytest.mark.parametrize("folder", folders, ids=lambda path: path.name)


def test_the_index_lists_them_all():
    listed = re.findall(
        r"\[`(\w+)`\]\((\w+)/README.md\)", (ROOT / "pretrained/README.md").read_text()
    )
    assert [name for name, _ in listed] == [folder for _, folder in listed]
    assert {name for name, _ in listed} == {path.name for path in EXPORTS} != set()


def test_index_and_cards_are_those_of_the_folders(capsys):
    assert pretrained.main(["--into", str(ROOT / "pretrained"), "--check"]) == 0, (
        capsys.readouterr()
    )


@each(EXPORTS)
def test_it_is_small_and_samples_and_reconstructs(folder):
    assert sum(path.stat().st_size for path in folder.glob("*")) < MOST_BYTES
    assert not [path for path in folder.glob("*.png") if path.stat().st_size > 30_000]
    model = ebm_jax.load(folder)
    images = np.asarray(model.sample(jax.random.key(0), 4).images)
    size, channels = model.config.data.image_size, model.config.data.channels
    assert images.shape == (4, size, size, channels) and np.isfinite(images).all()
    if model.config.method.name != "hat":  # whose chains move the image itself
        assert np.abs(images).max() <= 1
    assert images.std(axis=0).max() > 0.1  # not all the same
    if methods.build(model.config).reconstruct is None:
        return
    again = np.asarray(model.reconstruct(jnp.asarray(images), jax.random.key(1)))
    assert np.mean((again - images) ** 2) / 4 < 0.02  # of its own samples, in [0, 1] units


@each(CARDS)
def test_the_cards_snippet_runs(folder, monkeypatch):
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"^```python\n(.*?)^```", (folder / "README.md").read_text(), re.M | re.S)
    found = {}
    exec(compile(code, folder.name, "exec"), found)
    (shape,) = re.findall(r"# (\[[\d, ]+\])", code)
    assert list(found["images"].shape) == json.loads(shape)


@each(EXPORTS)
def test_the_card_says_what_is_on_record(folder):
    """What docs/results.json has of the same commit: rows of this seed alone have its numbers."""
    card = (folder / "README.md").read_text()
    (config,) = set(re.findall(r"\| config \| `(configs/\w+\.py)`", card))
    assert (ROOT / config).is_file()
    ((commit, seed),) = re.findall(r"commit ([0-9a-f]{7,10}), seed (\d+)", card)
    rows = [
        row
        for row in json.loads((ROOT / "docs/results.json").read_text())
        if row["config"] == config and row["commit"].startswith(commit)
    ]
    assert rows or folder in CARDS
    for row in rows:
        assert int(seed) in row["seeds"]
        if row["task"] in ("fd_classifier", "reconstruction") and len(row["seeds"]) == 1:
            assert f"| {row['value']:#.4g} |" in card, row["variant"]
    told = json.loads((folder / "config.json").read_text())
    assert f"{told['step']:,}".replace(",", " ") in card


@each(EXPORTS)
def test_it_names_no_folder_of_a_machine(folder):
    for path in folder.glob("*.[jm][sd]*"):
        if path.suffix in (".json", ".md"):
            assert not re.search(r"/(home|tmp|root|work)/", path.read_text()), path.name


@each([folder for folder in CARDS if json.loads((folder / "card.json").read_text())["first_stage"]])
def test_its_first_stage_is_the_export_of_that_name(folder):
    """The energies' export has the first stage's nets too, bit by bit."""
    stage = json.loads((folder / "card.json").read_text())["first_stage"]
    first = ROOT / "pretrained" / stage["name"]
    digest = hashlib.sha256((first / "params.msgpack").read_bytes()).hexdigest()
    assert digest.startswith(stage["sha256"])
    theirs, ours = (ebm_jax.load(path).state for path in (first, folder))
    nets = set(theirs.params) - {"energy"}
    assert {"generator", "inference"} <= nets
    for net in nets:
        jax.tree.map(np.testing.assert_array_equal, theirs.params[net], ours.params[net])
