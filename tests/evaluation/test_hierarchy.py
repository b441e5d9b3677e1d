"""Task `hierarchy`: layers that decide nothing change nothing, and what a layer decides changes."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluate import evaluate
from ebm_jax.evaluation import hierarchy
from ebm_jax.methods.base import LatentMaps
from tests.evaluation.untrained import context_of
from tests.test_train import tiny_config, trained_workdir


def test_blocks():
    assert hierarchy.blocks(1) == {"layer_1": {0}}
    assert hierarchy.blocks(2) == {"layer_1": {0}, "layer_2": {1}, "all_layers": {0, 1}}
    three = hierarchy.blocks(3)
    assert three["lowest_2"] == {0, 1} and three["highest_2"] == {1, 2}
    assert len(three) == 6


def test_only_the_layer_that_decides_changes_the_image(tmp_path):
    """Images are dark or bright by the sign of the top layer's first unit, in u-space."""
    context = context_of(tmp_path / "eval", hierarchy_samples=200)

    def decode(state, z):
        sign = jnp.sign(z[1][:, :1] / 3)[:, :, None, None]
        return jnp.broadcast_to(sign, (len(sign), 8, 8, 1))

    maps = LatentMaps(
        decode,
        to_z=lambda state, u: jax.tree.map(lambda x: 3 * x, u),
        to_u=lambda state, z: jax.tree.map(lambda x: x / 3, z),
    )
    found = hierarchy.run(context._replace(method=context.method._replace(maps=maps)))
    layers = found["layers"]
    assert layers["layer_1"] == {"mse": 0.0, "label_change": 0.0}
    assert layers["layer_2"] == layers["all_layers"]
    assert layers["layer_2"]["mse"] == pytest.approx(0.5, abs=0.12)  # half of the signs differ
    assert found["results"]["layer_2"] == layers["layer_2"]["label_change"]


def test_first_column_is_the_sample_itself(tmp_path, monkeypatch):
    context = context_of(tmp_path / "eval", hierarchy_samples=20)
    drawn = []

    def grid(images, columns, **_):
        drawn.append(images.reshape(-1, columns, *images.shape[1:]))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr(hierarchy, "image_grid", grid)
    hierarchy.run(context)
    assert [grid.shape[:2] for grid in drawn] == [(8, 9), (8, 9)]
    np.testing.assert_allclose(drawn[0][:, 0], drawn[1][:, 0], atol=1e-5)
    assert np.abs(drawn[0][:, 1:] - drawn[0][:, :1]).max() > 1e-4


def test_json_on_digits(tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    config = tiny_config()
    config.eval.tasks = ("hierarchy",)
    config.eval.hierarchy_samples = 100
    evaluate(config, folder)
    written = json.loads((folder / "eval" / "hierarchy.json").read_text())
    assert set(written["results"]) == {"layer_1", "layer_2", "all_layers"}
    assert all(0 <= value <= 1 for value in written["results"].values())
    assert written["metric"] == "label_change" and "100 samples" in written["protocol"]
    for figure in written["figures"]:
        assert (folder / "eval" / figure).stat().st_size > 0


def test_method_without_layers(tmp_path):
    context = context_of(tmp_path / "eval")
    with pytest.raises(ConfigError, match="has no layers of latents"):
        hierarchy.run(context._replace(method=context.method._replace(maps=None)))


def test_samples_that_are_not_finite_are_refused(tmp_path):
    context = context_of(tmp_path / "eval", hierarchy_samples=10)

    def sample(*arguments, **options):
        found = context.method.sample(*arguments, **options)
        return found._replace(latents=tuple(z * np.nan for z in found.latents))

    with pytest.raises(ConfigError, match="20 of 20 samples of the ebm prior are not finite"):
        hierarchy.run(context._replace(method=context.method._replace(sample=sample)))
