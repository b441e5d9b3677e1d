"""Task `latent_scatter`: clouds along the chains, and their distance to the posterior."""

import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import latent_scatter
from ebm_jax.evaluation.energy_distance import energy_distance
from ebm_jax.evaluation.latents import inferred
from tests.evaluation.untrained import context_of

SETTINGS = dict(hierarchy_samples=60, batch_size=40, long_chain_steps=12)


def test_numbers_are_distances_to_the_posterior(tmp_path):
    context = context_of(tmp_path / "eval", **SETTINGS)
    context.config.sampler.posterior.step_size = 0.02
    found = latent_scatter.run(context)
    target = inferred(context, context.eval_set, "latent_scatter", 60)
    assert list(found["results"]) == [
        f"layer_{i}/{kind}"
        for i in (1, 2)
        for kind in ("gaussian_prior", "ebm_prior", "long_chains")
    ]
    drawn = latent_scatter._drawn(context, prior="ebm", num_steps=12)
    scale = target[1].std(axis=0)
    expected = energy_distance(drawn.layers[1] / scale, target[1] / scale)
    assert found["results"]["layer_2/long_chains"] == pytest.approx(expected, rel=1e-5)
    assert drawn.layers[0].shape == (60, 4) and set(drawn.classes) <= set(range(10))
    assert sorted(found["figures"]) == ["latent_scatter_layer_1.png", "latent_scatter_layer_2.png"]
    for name in found["figures"]:
        assert (context.folder / name).stat().st_size > 0


def test_the_same_distribution_is_near_and_a_shifted_one_far():
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 400, 3))
    assert abs(latent_scatter._distance(one, 5 * other)) > 0.1
    assert abs(latent_scatter._distance(one, other)) < 0.05
    assert latent_scatter._distance(one + 1, other) == pytest.approx(
        latent_scatter._distance(7 * (one + 1), 7 * other), rel=1e-6
    )


@pytest.mark.parametrize("size, expected", [(1, 2), (2, 2), (5, 2)])
def test_projection(size, expected):
    rng = np.random.default_rng(0)
    target = rng.normal(size=(50, size)) * np.arange(size, 0, -1)
    points = latent_scatter._projection(target)(target)
    assert points.shape == (50, expected)
    if size == 5:
        full = np.linalg.svd(target - target.mean(0), compute_uv=False)
        np.testing.assert_allclose((points**2).sum(0), full[:2] ** 2, rtol=1e-6)


def test_chains_share_their_start_and_lengthen(tmp_path):
    """The posterior's clouds are those of one chain, seen later and later."""
    context = context_of(tmp_path / "eval", **SETTINGS)
    context.config.sampler.posterior.update(step_size=0.02, num_steps=6)
    clouds = latent_scatter._posterior(context)
    assert list(clouds) == ["1 step", "2 steps", "4 steps", "6 steps", "q(z|x)"]
    layers = [cloud.layers[1] for cloud in clouds.values()]
    moved = [np.abs(layer - layers[0]).mean() for layer in layers]
    assert 0 == moved[0] < moved[1] < moved[2] < moved[3] < moved[4]
    assert all(len(cloud.classes) == 60 for cloud in clouds.values())


def test_chains_that_diverge_leave_gaps(tmp_path):
    context = context_of(tmp_path / "eval", **SETTINGS)
    context.config.sampler.posterior.step_size = 0.02

    def sample(*arguments, prior, **options):
        found = context.method.sample(*arguments, prior=prior, **options)
        if options.get("num_steps") != 12:
            return found
        spoil = lambda x: jnp.asarray(x).at[0].set(np.nan)  # noqa: E731
        latents = tuple(map(spoil, found.latents))
        return found._replace(latents=latents, images=spoil(found.images))

    found = latent_scatter.run(context._replace(method=context.method._replace(sample=sample)))
    assert np.isnan(found["results"]["layer_1/long_chains"])
    assert np.isfinite(found["results"]["layer_1/ebm_prior"])


def test_method_without_layers(tmp_path):
    context = context_of(tmp_path / "eval")
    with pytest.raises(ConfigError, match="leave 'latent_scatter' out"):
        latent_scatter.run(context._replace(method=context.method._replace(maps=None)))
