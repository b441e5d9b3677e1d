"""Task `control`: stand-ins that give what is asked for, or do not, and its JSON."""

import json
import os
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebm_jax
from configs import digits_control, digits_hvae
from ebm_jax import data, measures
from ebm_jax.errors import ConfigError
from ebm_jax.evaluate import evaluate
from ebm_jax.evaluation import control
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.wording import request_words
from ebm_jax.methods import InferenceState
from ebm_jax.methods.base import Control
from ebm_jax.train import train


def context_of(folder, config, request, read=None):
    """Whose method is nothing but what answers requests."""
    training, test = (data.open_dataset(config.data, split) for split in ("train", "test"))
    data.fill_in(config.data, training)

    class Stub:
        has_energy, chain_detail = True, ""
        control = Control(request, read)

    folder.mkdir()
    return Context(config, Stub, InferenceState({}, {}), 1, folder, training, test, lambda: None)


def config_of(layers=()):
    config = digits_control.get_config()
    config.eval.control_samples, config.eval.batch_size = 90, 40
    config.coupling.layers = layers
    config.sampler.prior.num_steps = 5
    return config


@pytest.fixture(scope="module")
def examples():
    """(images in [-1, 1], their attributes) of the test split."""
    config = config_of()
    training, test = (data.open_dataset(config.data, split) for split in ("train", "test"))
    data.fill_in(config.data, training)
    edges = tuple(map(tuple, config.data.attribute_edges))
    values = data.attributes.values_of(test, tuple(config.data.attributes), edges)
    return data.to_float(test.fetch(np.arange(len(values)))[0], (-1.0, 1.0)), values


def obedient(images, values):
    """A request that gives a test image with the values asked for."""

    def request(state, key, index, wanted, guidance=1.0, kept=None, moved=None):
        chosen = []
        for i, want in zip(index, wanted, strict=True):
            fits = ((values == want) | (want == control.ANY)).all(1)
            chosen.append(np.flatnonzero(fits)[i % fits.sum()])
        return jnp.asarray(images[chosen]), (jnp.zeros((len(chosen), 2)),)

    return request


def read_by(answer, values):
    """log p(y|z) that are sure of `answer`(index)."""

    def read(state, images, key, index):
        told = answer(index)
        return tuple(jnp.log(jnp.eye(size)[told[:, a]] + 1e-6) for a, size in enumerate((10, 3)))

    return read


def test_what_is_given_as_asked_for_is_right(tmp_path, examples):
    images, values = examples
    config = config_of(layers=((), (1,)))
    read = read_by(lambda index: values[index], values)
    context = context_of(tmp_path / "eval", config, obedient(images, values), read)
    found = control.run(context)
    assert found["results"]["thickness"] == found["requests"]["jointly"]["each"]["thickness"] == 1.0
    assert 0.85 < found["results"]["class"] <= 1.0  # as good as the classifier
    assert 0.85 < found["results"]["jointly"] <= found["results"]["thickness"]
    assert found["results"]["thickness_in_its_layers"] == 1.0
    assert found["read_from_test_images"]["coupling"] == {"class": 1.0, "thickness": 1.0}
    assert found["read_from_test_images"]["reader"]["thickness"] == 1.0
    assert found["num_samples"] == 90
    for figure in found["figures"]:
        assert (context.folder / figure).stat().st_size > 500
    assert {"control_class.png", "control_thickness.png", "control_jointly.png"} < {
        *found["figures"]
    }


def test_what_is_given_at_random_is_right_by_chance(tmp_path, examples):
    images, values = examples
    config = config_of(layers=((), (1,)))
    config.eval.control_samples = 300

    def request(state, key, index, wanted, guidance=1.0, kept=None, moved=None):
        chosen = (7 * np.asarray(index) + 3) % len(images)  # the same image for the same index
        return jnp.asarray(images[chosen]), (jnp.zeros((len(chosen), 2)),)

    wrong = read_by(lambda index: (values[index] + 1) % np.array([10, 3]), values)
    found = control.run(context_of(tmp_path / "eval", config, request, wrong))
    assert found["results"]["class"] < 0.2
    assert 0.2 < found["results"]["thickness"] < 0.47
    assert found["results"]["jointly"] < 0.12
    assert found["requests"]["thickness_in_its_layers"] == {"layers": [1], "kept": {"class": 1.0}}
    assert found["read_from_test_images"]["coupling"] == {"class": 0.0, "thickness": 0.0}


def test_what_has_blown_up_is_wrong(tmp_path, examples):
    config = config_of(layers=((), (1,)))

    def request(state, key, index, wanted, guidance=1.0, kept=None, moved=None):
        return jnp.full((len(index), 8, 8, 1), jnp.nan), (jnp.zeros((len(index), 2)),)

    read = read_by(lambda index: examples[1][index], examples[1])
    found = control.run(context_of(tmp_path / "eval", config, request, read))
    assert set(found["results"].values()) == {0.0}
    assert found["requests"]["thickness_in_its_layers"]["kept"] == {"class": 0.0}


def test_requests_have_all_values_in_equal_numbers():
    found = control.requests((("class", 10), ("slant", 3)), 60, seed=0)
    assert list(found) == ["class", "slant", "jointly"]
    assert (found["class"][:, 1] == control.ANY).all()
    for name, column, size in (("class", 0, 10), ("slant", 1, 3), ("jointly", 0, 10)):
        assert np.bincount(found[name][:, column]).tolist() == [60 // size] * size
    both = found["jointly"][:, 0] * 3 + found["jointly"][:, 1]
    assert len(np.unique(both)) > 20
    assert list(control.requests((("slant", 2),), 4, seed=0)) == ["slant"]


def test_attributes_that_no_image_tells_are_refused():
    config = config_of()
    dataset = data.open_dataset(config.data, "train")
    control.check(config, dataset)
    config.data.attributes = (("Smiling", 2),)
    with pytest.raises(ConfigError, match="but 'Smiling' cannot be read from images of digits"):
        control.check(config, dataset)
    config.data.attributes = ()
    with pytest.raises(ConfigError, match="data.attributes is ..; name what"):
        control.check(config, dataset)


def test_run_on_digits(tmp_path):
    """From a first stage to the JSON, through the loop."""
    small = {
        "model.generator.hidden": (32,),
        "model.inference.hidden": (32,),
        "train.num_steps": 20,
        "eval.tasks": (),
    }
    first = digits_hvae.get_config("quick")
    first.update_from_flattened_dict(small)
    train(first, tmp_path / "first")
    config = digits_control.get_config("quick")
    config.update_from_flattened_dict(small | {"train.first_stage": str(tmp_path / "first")})
    config.eval.tasks, config.eval.control_samples = ("control",), 70
    assert train(config, tmp_path / "run") == 20
    evaluate(config, tmp_path / "run")
    written = json.loads((tmp_path / "run" / "eval" / "control.json").read_text())
    assert set(written["results"]) == {"class", "thickness", "jointly"}
    assert len(written["edges"]["thickness"]) == 2
    assert all(0 <= value <= 1 for value in written["results"].values())
    saved = json.loads((tmp_path / "run" / "config.json").read_text())
    assert saved["config"]["data"]["attribute_edges"][1] == written["edges"]["thickness"]
    for read in written["read_from_test_images"].values():
        assert set(read) == {"class", "thickness"} and all(0 <= v <= 1 for v in read.values())


def test_the_protocol_tells_the_steps_of_requests():
    config = config_of()
    config.sampler.prior.step_size = 0.3

    class Method:
        has_energy, chain_detail = True, " of the method"

    assert request_words(config, Method) == (
        ", EBM prior by 5 Langevin steps of 0.3 in u-space of the method"
    )
    config.eval.request_steps = ((45, 1.0), (15, 0.5))
    assert request_words(config, Method) == (
        ", EBM prior by Langevin steps in u-space, 45 of 0.3, then 15 of 0.15"
    )


@pytest.mark.slow
@pytest.mark.skipif(
    not Path(os.environ.get("TFDS_DATA_DIR", "none"), "mnist").is_dir(),
    reason="TFDS_DATA_DIR has no mnist",
)
def test_reconstructions_have_the_thickness_of_their_originals(monkeypatch):
    """Or no sampler could give what is asked for: it is read from what the decoder makes."""
    model = ebm_jax.load(Path(__file__).resolve().parents[2] / "pretrained" / "mnist_nvae")
    pixels, _ = data.open_dataset(model.config.data, "test").fetch(np.arange(1000))
    images = data.to_float(pixels, model.config.data.range)
    restored = data.to_uint8(model.reconstruct(images, jax.random.key(0)), model.config.data.range)

    def in_the_same_third():
        before, after = (data.attributes.measured("thickness", x) for x in (pixels, restored))
        cuts = np.quantile(before, (1 / 3, 2 / 3))
        return (np.digitize(before, cuts) == np.digitize(after, cuts)).mean()

    assert in_the_same_third() > 0.88
    monkeypatch.setattr(measures, "_DARK", 0.0)
    monkeypatch.setattr(measures, "_BRIGHT", 1.0)
    assert in_the_same_third() < 0.85  # all brightness
