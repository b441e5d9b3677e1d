"""Task `layer_reconstruction`: what is lost with the layers that are left out."""

import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax import data
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import layer_reconstruction
from ebm_jax.methods.base import LatentMaps
from tests.evaluation.untrained import context_of


def test_upper_half_and_lower_half_of_the_image(tmp_path):
    """Layer 1 holds the upper four rows of pixels, layer 2 the lower ones, to the last bit."""
    context = context_of(tmp_path / "eval", num_reconstructions=50)

    def posterior(state, images, key, index):
        flat = images.reshape(len(images), -1)
        return flat[:, :32], flat[:, 32:]

    def decode(state, z):
        return jnp.concatenate(z, axis=1).reshape(-1, 8, 8, 1)

    identity = lambda state, latents: latents  # noqa: E731
    method = context.method._replace(
        posterior=posterior, maps=LatentMaps(decode, identity, identity)
    )
    found = layer_reconstruction.run(context._replace(method=method))
    images = data.to_float(context.eval_set.fetch(np.arange(50))[0], (-1.0, 1.0))
    upper = float(np.mean((images[:, :4] / 2) ** 2) / 2)  # u = 0 there: grey 0 of [-1, 1]
    assert found["results"]["all_layers"] == 0.0
    assert found["results"]["highest_1"] == pytest.approx(upper, rel=1e-5)
    assert found["num_samples"] == 50
    assert (context.folder / "layer_reconstruction.png").stat().st_size > 0


def test_method_without_layers(tmp_path):
    context = context_of(tmp_path / "eval")
    with pytest.raises(ConfigError, match="leave 'layer_reconstruction' out"):
        layer_reconstruction.run(context._replace(method=context.method._replace(maps=None)))
