"""The explorer's sprite: every image is where its description says."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from ebm_jax.evaluation import explorer
from ebm_jax.methods.base import LatentMaps
from tests.evaluation.untrained import context_of

PLACES = np.linspace(-2.5, 2.5, 11)


def painting(context, side=8, noise=0.0):
    """The context with images of one grey: z_1[1] + 0.1 z_2[0], in [-1, 1] for values within 3."""
    texture = noise * np.random.default_rng(0).standard_normal((1, side, side, 1))

    def decode(state, z):
        grey = (z[0][:, 1] + 0.1 * z[1][:, 0]) / 3
        return jnp.broadcast_to(grey[:, None, None, None], (len(grey), side, side, 1)) + texture

    def identity(state, latents):
        return latents

    maps = LatentMaps(decode, identity, identity)
    return context._replace(method=context.method._replace(maps=maps))


def bases_of(count):
    rng = np.random.default_rng(1)
    return tuple(rng.uniform(-1, 1, (count, n)).astype(np.float32) for n in (3, 2))


def expected(value):
    return (value / 3 + 1) / 2 * 255


def test_every_tile_is_the_base_with_one_unit_elsewhere(tmp_path):
    context, u = painting(context_of(tmp_path / "eval")), bases_of(3)
    units = [np.array([1, 2]), np.array([0])]
    found = explorer.write_explorer(context, "s.png", u, units)
    assert found["tile"] == [8, 8] and found["places"] == PLACES.tolist()
    assert [layer["title"] for layer in found["layers"]] == ["Layer 1 (bottom)", "Layer 2 (top)"]
    assert [layer["units"] for layer in found["layers"]] == [[1, 2], [0]]
    for layer, values, chosen in zip(found["layers"], u, units, strict=True):
        np.testing.assert_array_equal(layer["values"], values[:, chosen])
    image = Image.open(context.folder / "s.png")
    assert image.mode == "L"  # a third of the bytes of the same in colour
    tiles = np.asarray(image).reshape(4, 8, 3, 11, 8)[:, 4, :, :, 4].astype(float)
    own = u[0][:, 1] + 0.1 * u[1][:, 0]  # [3]
    np.testing.assert_allclose(tiles[0, :, 0], expected(own), atol=0.51)
    moved = PLACES + 0.1 * u[1][:, :1]  # [3, 11]
    np.testing.assert_allclose(tiles[1], expected(moved), atol=0.51)
    np.testing.assert_allclose(tiles[2], np.tile(expected(own)[:, None], 11), atol=0.51)
    moved = u[0][:, 1:2] + 0.1 * PLACES
    np.testing.assert_allclose(tiles[3], expected(moved), atol=0.51)


def test_fewer_bases_where_they_do_not_fit(tmp_path, monkeypatch):
    context, u = painting(context_of(tmp_path / "eval"), noise=0.1), bases_of(6)
    units = [np.array([1]), np.array([0])]
    explorer.write_explorer(context, "one.png", tuple(z[:1] for z in u), units)
    block = (context.folder / "one.png").stat().st_size
    monkeypatch.setattr(explorer, "_BYTES", 4 * block)
    found = explorer.write_explorer(context, "s.png", u, units)
    count = len(found["layers"][0]["values"])
    assert 1 < count < 6 and found["tile"] == [8, 8]
    assert Image.open(context.folder / "s.png").size == (count * 11 * 8, 3 * 8)
    monkeypatch.setattr(explorer, "_BYTES", 1)
    assert len(explorer.write_explorer(context, "s.png", u, units)["layers"][0]["values"]) == 1


def test_large_images_are_made_smaller_for_the_sake_of_more_bases(tmp_path, monkeypatch):
    context, u = painting(context_of(tmp_path / "eval"), side=128, noise=0.3), bases_of(4)
    units = [np.array([1]), np.array([0])]
    monkeypatch.setattr(explorer, "_BYTES", 10**7)
    assert explorer.write_explorer(context, "s.png", u, units)["tile"] == [128, 128]
    whole = np.asarray(Image.open(context.folder / "s.png")).astype(float)
    explorer.write_explorer(context, "one.png", tuple(z[:1] for z in u), units)
    monkeypatch.setattr(explorer, "_BYTES", 2 * (context.folder / "one.png").stat().st_size)
    found = explorer.write_explorer(context, "s.png", u, units)
    assert found["tile"] == [64, 64] and len(found["layers"][0]["values"]) == 4
    half = np.asarray(Image.open(context.folder / "s.png"))
    means = whole.reshape(half.shape[0], 2, half.shape[1], 2).mean(axis=(1, 3))
    np.testing.assert_allclose(half, means, atol=0.51)
    monkeypatch.setattr(explorer, "_BYTES", 1)
    assert explorer.write_explorer(context, "s.png", u, units)["tile"] == [32, 32]  # no smaller


@pytest.mark.parametrize("side, factor, fits", [((64, 64), 2, True), ((28, 28), 2, False),
                                                ((96, 100), 8, False)])  # fmt: skip
def test_sides_that_shrink(side, factor, fits):
    assert explorer._shrinks(side, factor) is fits
