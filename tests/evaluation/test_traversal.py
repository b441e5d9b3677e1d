"""Task `traversal`: only the unit that decides changes the image, and by a known amount."""

import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import traversal
from ebm_jax.evaluation.latents import drawn, moved
from ebm_jax.methods.base import LatentMaps
from ebm_jax.reporting.explorer import read_explorer
from tests.evaluation.untrained import context_of

PLACES = np.linspace(-2.5, 2.5, 9, dtype=np.float32)


def test_one_unit_paints_the_image(tmp_path):
    context = context_of(tmp_path / "eval")

    def decode(state, z):
        return jnp.broadcast_to(z[1][:, 1, None, None, None] / 2.5, (len(z[1]), 8, 8, 1))

    identity = lambda state, latents: latents  # noqa: E731
    maps = LatentMaps(decode, identity, identity)
    found = traversal.run(context._replace(method=context.method._replace(maps=maps)))
    assert found["results"]["layer_1"] == 0.0
    units = found["units"]["layer_2"]
    places = np.linspace(-1, 1, 9)  # pixels in [-1, 1]
    assert units[1] == pytest.approx(np.var(places) / 4, rel=1e-5)
    assert all(units[d] == 0.0 for d in range(len(units)) if d != 1)
    assert found["results"]["layer_2"] == pytest.approx(units[1] / len(units))
    for figure in found["figures"]:
        assert (context.folder / figure).stat().st_size > 0


def test_rows_move_one_unit_and_keep_the_rest():
    base = (np.full((1, 2), 7.0, np.float32), np.full((1, 3), 5.0, np.float32))
    u = moved(base, 1, np.arange(3), PLACES)
    assert u[0].shape == (27, 2) and u[1].shape == (27, 3)
    assert (u[0] == 7.0).all()
    np.testing.assert_array_equal(u[1][9:18, 1], PLACES)
    assert (u[1][9:18][:, [0, 2]] == 5.0).all()


def test_units_of_maps_and_a_choice_of_them():
    base = (np.full((1, 2), 7.0, np.float32), np.arange(12, dtype=np.float32).reshape(1, 2, 3, 2))
    u = moved(base, 1, np.array([0, 7]), PLACES)
    assert u[0].shape == (18, 2) and u[1].shape == (18, 2, 3, 2)
    flat = u[1].reshape(18, 12)
    np.testing.assert_array_equal(flat[:9, 0], PLACES)
    np.testing.assert_array_equal(u[1][9:, 1, 0, 1], PLACES)
    flat[:9, 0], flat[9:, 7] = 0, 7
    np.testing.assert_array_equal(flat, np.tile(np.arange(12), (18, 1)))


def test_of_a_large_layer_some_units_are_moved(tmp_path, monkeypatch):
    monkeypatch.setattr(traversal, "_UNITS", 2)
    context = context_of(tmp_path / "eval")
    found = traversal.run(context)
    assert [len(units) for units in found["units"].values()] == [2, 2]
    assert "each unit (2 of larger layers) at 9 places" in found["protocol"]


def test_real_method_and_a_method_without_layers(tmp_path):
    context = context_of(tmp_path / "eval")
    found = traversal.run(context)
    sizes = context.config.model.latent_sizes
    assert [len(units) for units in found["units"].values()] == list(sizes)
    assert min(found["results"].values()) > 0  # the layers below follow
    with pytest.raises(ConfigError, match="leave 'traversal' out"):
        traversal.run(context._replace(method=context.method._replace(maps=None)))


def test_the_explorer_begins_with_the_measured_sample(tmp_path):
    context = context_of(tmp_path / "eval")
    found = traversal.run(context)
    described = found["explorer"]
    assert described["file"] not in found["figures"]
    assert (context.folder / described["file"]).exists()
    assert read_explorer(context.folder, "traversal", found, problems := []) and not problems
    first = drawn(context, "traversal", 1)
    for layer, u, change in zip(described["layers"], first, found["units"].values(), strict=True):
        assert layer["units"] == np.argsort(-np.array(change), kind="stable")[:6].tolist()
        assert len(layer["values"]) == 8
        np.testing.assert_allclose(layer["values"][0], u[0, layer["units"]], rtol=1e-4, atol=1e-5)
