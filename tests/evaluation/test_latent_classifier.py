"""Task `latent_classifier`: a layer with the class is told from one without."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import latent_classifier
from tests.evaluation.untrained import context_of


def test_accuracy_follows_what_a_layer_knows(tmp_path):
    """Layer 1 is noise, layer 2 the image itself: chance, and what a classifier of digits has."""
    context = context_of(tmp_path / "eval", batch_size=500)
    noise = jnp.asarray(np.random.default_rng(0).normal(size=(2000, 3)), jnp.float32)

    def posterior(state, images, key, index):
        return noise[index], images.reshape(len(images), -1)

    method = context.method._replace(posterior=posterior)
    found = latent_classifier.run(context._replace(method=method))
    assert set(found["results"]) == {"layer_1", "layer_2", "all_layers"}
    assert found["results"]["layer_1"] < 0.25
    assert found["results"]["layer_2"] > 0.9
    assert found["results"]["all_layers"] > 0.9
    assert (found["num_training"], found["num_samples"]) == (500, 359)  # :quick
    assert "trained on 500 images of split train" in found["protocol"]


def test_images_without_labels(tmp_path):
    context = context_of(tmp_path / "eval")
    unlabelled = dataclasses.replace(context.train_set, num_classes=0)
    with pytest.raises(ConfigError, match="latent_classifier needs labels, but 'digits' has 0"):
        latent_classifier.run(context._replace(train_set=unlabelled))
