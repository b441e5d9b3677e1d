"""The graph as a whole: sizes, taps, parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.evaluation.inception.network import TAPS, Inception, shapes
from tests.evaluation.inception.conftest import made_up, real_weights_path


def test_sizes_of_the_taps():
    taps = tuple(TAPS)
    image = jax.ShapeDtypeStruct((2, 299, 299, 3), jnp.float32)
    network = Inception(taps)
    variables = jax.eval_shape(network.init, jax.random.key(0), image)
    found = jax.eval_shape(network.apply, variables, image)
    assert {tap: leaf.shape for tap, leaf in found.items()} == {
        tap: (2, 1008 if tap == "logits" else int(tap)) for tap in TAPS
    }


def test_number_of_parameters():
    """torchvision's inception_v3 without its auxiliary head has 23 834 568 at 1000 classes."""
    counted = shapes(list(TAPS))
    kernels = sum(int(np.prod(s)) for name, s in counted.items() if name.endswith("/kernel"))
    biases = sum(int(np.prod(s)) for name, s in counted.items() if name.endswith("/bias"))
    assert len(counted) == 2 * 94 + 1
    eight_classes = 8 * (2048 + 1)
    # Batch norm has scale and shift where we have a bias; their softmax layer has a bias.
    assert kernels + 2 * biases + 1008 == 23_834_568 + eight_classes


def test_a_tap_asks_for_no_layer_behind_it():
    assert set(shapes(["64"])) == {
        f"{c}/{k}" for c in ("conv", "conv_1", "conv_2") for k in ("kernel", "bias")
    }
    assert not any(name.startswith("mixed_8") for name in shapes(["768"]))
    assert shapes(["768"]).items() < shapes(["1280"]).items() < shapes(["2048"]).items()
    assert set(shapes(["logits"])) - set(shapes(["2048"])) == {"softmax/kernel"}


def test_taps_together_are_taps_alone():
    params = {}
    for name, value in made_up(shapes(["192"])).items():
        layer, _, kind = name.rpartition("/")
        params.setdefault(layer, {})[kind] = value
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 299, 299, 3)), jnp.float32)
    both = jax.jit(Inception(("64", "192")).apply)({"params": params}, x)
    alone = jax.jit(Inception(("64",)).apply)({"params": params}, x)
    assert set(alone) == {"64"} and both["192"].shape == (1, 192)
    np.testing.assert_allclose(both["64"], alone["64"], atol=1e-5)


@pytest.mark.skipif(real_weights_path() is None, reason="no Inception weights")
def test_names_and_shapes_are_the_real_files():
    with np.load(real_weights_path()) as file:
        real = {name: file[name].shape for name in file.files}
    expected = shapes(["1280"])
    assert {name: real[name] for name in expected} == expected
    complete = shapes(list(TAPS))
    assert {name: complete[name] for name in real} == real
