"""Tasks on latents that are maps give what they give on the same numbers as vectors."""

import jax
import numpy as np
import pytest

from ebm_jax.evaluation import TASKS
from ebm_jax.methods.base import LatentMaps
from tests.evaluation.untrained import context_of

SHAPES = ((2, 2, 1), (1, 2, 1))  # of the layers of 4 and of 2 latents


def as_maps(z):
    return tuple(leaf.reshape(-1, *shape) for leaf, shape in zip(z, SHAPES, strict=True))


def as_vectors(z):
    return tuple(leaf.reshape(len(leaf), -1) for leaf in z)


def with_maps(context):
    """The Context with a method whose latents are maps."""
    method, inner = context.method, context.method.maps

    def sample(*arguments, **options):
        drawn = method.sample(*arguments, **options)
        trajectory = drawn.latent_trajectory
        if trajectory is not None:
            steps = len(trajectory[0])
            pairs = zip(trajectory, SHAPES, strict=True)
            trajectory = tuple(leaf.reshape(steps, -1, *shape) for leaf, shape in pairs)
        return drawn._replace(latents=as_maps(drawn.latents), latent_trajectory=trajectory)

    maps = LatentMaps(
        decode=lambda state, z: inner.decode(state, as_vectors(z)),
        to_z=lambda state, u: as_maps(inner.to_z(state, as_vectors(u))),
        to_u=lambda state, z: as_maps(inner.to_u(state, as_vectors(z))),
    )
    return context._replace(
        method=method._replace(
            sample=sample,
            posterior=lambda *arguments: as_maps(method.posterior(*arguments)),
            energy=lambda state, z: method.energy(state, as_vectors(z)),
            maps=maps,
        )
    )


@pytest.mark.parametrize(
    "task",
    ["hierarchy", "interpolation", "latent_classifier", "layer_reconstruction", "traversal"],
)
def test_results_are_those_of_vectors(tmp_path, task):
    settings = dict(hierarchy_samples=40, classifier_images=100, num_reconstructions=50)
    vectors = context_of(tmp_path / "vectors", **settings)
    maps = with_maps(context_of(tmp_path / "maps", **settings))
    z = maps.method.posterior(maps.state, *_images(maps))
    assert tuple(leaf.shape[1:] for leaf in z) == SHAPES
    expected, found = (TASKS[task](context)["results"] for context in (vectors, maps))
    assert found.keys() == expected.keys()
    np.testing.assert_allclose(list(found.values()), list(expected.values()), rtol=1e-5)


def test_clouds_are_those_of_vectors(tmp_path):
    settings = dict(hierarchy_samples=40, long_chain_steps=6)
    found = [
        TASKS["latent_scatter"](context)["results"]
        for context in (
            context_of(tmp_path / "vectors", **settings),
            with_maps(context_of(tmp_path / "maps", **settings)),
        )
    ]
    gaussian = [{name: r[name] for name in r if "gaussian" in name} for r in found]
    assert gaussian[0] and gaussian[0].keys() == gaussian[1].keys()
    np.testing.assert_allclose(*(list(r.values()) for r in gaussian), rtol=1e-5)


def _images(context):
    images = context.eval_set.fetch(np.arange(4))[0].astype(np.float32) / 127.5 - 1
    return images, jax.random.key(0), np.arange(4)
