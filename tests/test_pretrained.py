"""Committed exports: small, loaded by today's code, with cards whose numbers are on record."""

import json
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebm_jax

ROOT = Path(__file__).resolve().parent.parent
EXPORTS = sorted(path.parent for path in (ROOT / "pretrained").glob("*/params.msgpack"))
MOST_BYTES = 5e6


def test_the_index_lists_them_all():
    listed = re.findall(
        r"\[`(\w+)`\]\((\w+)/README.md\)", (ROOT / "pretrained/README.md").read_text()
    )
    assert [name for name, _ in listed] == [folder for _, folder in listed]
    assert {name for name, _ in listed} == {path.name for path in EXPORTS} != set()


@pytest.mark.parametrize("folder", EXPORTS, ids=lambda path: path.name)
def test_it_is_small_and_samples_and_reconstructs(folder):
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES
    model = ebm_jax.load(folder)
    images = np.asarray(model.sample(jax.random.key(0), 4).images)
    size, channels = model.config.data.image_size, model.config.data.channels
    assert images.shape == (4, size, size, channels) and np.abs(images).max() <= 1
    assert images.std(axis=0).max() > 0.1  # not all the same
    again = np.asarray(model.reconstruct(jnp.asarray(images), jax.random.key(1)))
    assert np.mean((again - images) ** 2) / 4 < 0.02  # of its own samples, in [0, 1] units


@pytest.mark.parametrize("folder", EXPORTS, ids=lambda path: path.name)
def test_the_card_says_what_is_on_record(folder):
    card = (folder / "README.md").read_text()
    (config,) = set(re.findall(r"\| config \| `(configs/\w+\.py)`", card))
    assert (ROOT / config).is_file()
    (commit,) = re.findall(r"commit ([0-9a-f]{7}), seed (?:\d+)", card)
    rows = [
        row
        for row in json.loads((ROOT / "docs/results.json").read_text())
        if row["config"] == config and row["commit"].startswith(commit)
    ]
    assert rows
    for row in rows:
        if row["task"] in ("fd_classifier", "reconstruction"):
            assert f"| {row['value']:.4g} |" in card, row["variant"]
    told = json.loads((folder / "config.json").read_text())
    assert not re.search(r"/(home|tmp|root|work)/", json.dumps(told))
    assert f"{told['step']:,}".replace(",", " ") in card
