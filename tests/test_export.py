"""Exports: what is loaded samples and scores as the checkpoint's averaged parameters do."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ebm_jax
from configs import digits_hat
from ebm_jax import export, methods
from ebm_jax.compilation import jit_once
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluate import open_context
from ebm_jax.reporting import files
from tests.test_train import tiny_config, trained_workdir

KEY = jax.random.key(5)


@pytest.fixture(scope="module")
def model():
    return export.load(trained_workdir() / "export")


@pytest.fixture(scope="module")
def context():
    return open_context(tiny_config(), trained_workdir())


@pytest.fixture(scope="module")
def images(context):
    return context.eval_set.fetch(np.arange(3))[0].astype(np.float32) / 127.5 - 1


def test_parameters_are_the_checkpoints_averages(model, context):
    assert model.step == context.step == 40
    assert jax.tree.structure(model.state.params) == jax.tree.structure(context.state.params)
    jax.tree.map(np.testing.assert_array_equal, model.state.params, context.state.params)


@pytest.mark.parametrize("prior", ["ebm", "gaussian"])
def test_samples_are_the_methods(model, context, prior):
    expected = context.method.sample(context.state, KEY, 6, prior=prior)
    drawn = model.sample(KEY, 6, prior=prior)
    assert drawn.images.shape == (6, 8, 8, 1)
    np.testing.assert_allclose(drawn.images, expected.images, atol=1e-5)  # in other batches
    assert np.unique(np.asarray(drawn.images), axis=0).shape[0] == 6


def test_sample_does_not_depend_on_how_many_are_drawn(model):
    many = np.asarray(model.sample(KEY, 6).images)
    few = np.asarray(model.sample(KEY, 2, start=4).images)
    np.testing.assert_allclose(few, many[4:], atol=1e-5)


def test_steps_of_evaluation_are_those_of_samples(model, context):
    config = tiny_config()
    config.eval.prior_steps = 2
    drawn = methods.build(config).sample(context.state, KEY, 3)
    np.testing.assert_allclose(drawn.images, model.sample(KEY, 3, num_steps=2).images, atol=1e-5)
    assert np.abs(drawn.images - model.sample(KEY, 3).images).max() > 1e-3


@pytest.mark.parametrize(
    "n, start, words",
    [(0, 0, "n is 0"), (-3, 0, "n is -3"), (2.5, 0, "n is 2.5"), (1, -1, "start is -1")],
)
def test_numbers_of_samples_are_whole(model, n, start, words):
    with pytest.raises(ConfigError, match=f"{words}; it must be a whole number of"):
        model.sample(KEY, n, start=start)


def test_inference_and_scores(model, context, images):
    index = np.arange(3)
    z = model.posterior(images, KEY)
    assert [layer.shape for layer in z] == [(3, 4), (3, 2)]
    restored = model.reconstruct(images, KEY)
    assert restored.shape == images.shape
    expected = context.method.reconstruct(context.state, images, KEY, index)
    np.testing.assert_allclose(restored, expected, atol=1e-5)
    for k in (0, 1):
        scores = model.log_score(images, KEY, k=k)
        assert scores.shape == (3,) and np.isfinite(scores).all()
        expected = context.method.log_score(context.state, images, KEY, index, k=k)
        np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "wrong, words",
    [
        (lambda x: (x * 127).astype(np.uint8), r"images are uint8 \[3, 8, 8, 1\]"),
        (lambda x: x[0], r"images are float32 \[8, 8, 1\]"),
        (lambda x: x[..., 0], r"images are float32 \[3, 8, 8\]"),
        (lambda x: np.tile(x, (1, 2, 2, 1)), r"images are float32 \[3, 16, 16, 1\]"),
    ],
)
@pytest.mark.parametrize("name", ["posterior", "reconstruct", "log_score"])
def test_images_of_another_kind_are_refused(model, images, name, wrong, words):
    with pytest.raises(ConfigError, match=words + r"; .* floats \[n, 8, 8, 1\] in \[-1, 1\]"):
        getattr(model, name)(wrong(images), KEY)


@pytest.mark.parametrize("value", [16.0, 255.0, np.nan, np.inf])
def test_pixels_far_out_of_range_are_refused(model, images, value):
    images = np.array(images)
    images[1, 2, 3] = value
    with pytest.raises(ConfigError, match=f"of up to ±{value:g}; .* about in \\[-1, 1\\]"):
        model.reconstruct(images, KEY)
    images[1, 2, 3] = 3.0  # noise
    assert np.isfinite(model.log_score(images, KEY)).all()


def test_scores_can_be_differentiated(model, images):
    gradient = jax.jit(jax.grad(lambda x: model.log_score(x, KEY).sum()))(images)
    assert gradient.shape == images.shape and 0 < np.abs(gradient).max() < np.inf


def test_calls_can_be_traced_around_images_that_are_known(model, images):
    images = jnp.asarray(images)
    keys = jax.random.split(KEY, 2)
    restored = jax.lax.map(lambda key: model.reconstruct(images, key), keys)
    alone = jax.jit(lambda key: model.reconstruct(images, key))(keys[1])
    np.testing.assert_allclose(restored[1], alone, atol=1e-5)


@pytest.mark.parametrize(
    "key, words",
    [
        (0, "the key is 0; give one as of"),
        (None, "the key is None; give one as of"),
        (np.zeros(2), "the key is .*; give one as of"),
        (jax.random.split(KEY, 3), r"an array of keys \[3\]; give one"),
    ],
)
def test_what_is_no_key_is_refused(model, images, key, words):
    with pytest.raises(ConfigError, match=words):
        model.sample(key, 4)
    with pytest.raises(ConfigError, match=words):
        model.reconstruct(images, key)


def test_keys_of_both_kinds_give_the_same(model):
    one, other = (model.sample(make(7), 4).images for make in (jax.random.key, jax.random.PRNGKey))
    np.testing.assert_array_equal(one, other)


def test_a_run_is_loaded_by_its_folder_too():
    assert (
        repr(ebm_jax.load(trained_workdir())) == "LoadedModel(joint, digits, 8 × 8 × 1, 40 steps)"
    )


def test_package_loads_exports(model, context):
    loaded = ebm_jax.load(str(trained_workdir() / "export"))
    assert loaded.config.model.latent_sizes == (4, 2)
    assert loaded.config.data.num_examples == context.train_set.num_examples
    np.testing.assert_array_equal(
        loaded.state.params["generator"]["Dense_0"]["kernel"]
        if "Dense_0" in loaded.state.params["generator"]
        else jax.tree.leaves(loaded.state.params["generator"])[0],
        jax.tree.leaves(model.state.params["generator"])[0],
    )


def test_export_is_two_files():
    assert {p.name for p in (trained_workdir() / "export").iterdir()} == {
        "config.json",
        "params.msgpack",
    }


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(trained_workdir() / "export", tmp_path / "export")


def test_missing_export(tmp_path):
    with pytest.raises(DataError, match=r"no export in '.*' \(config.json is missing\)"):
        export.load(tmp_path)


def test_a_folder_that_is_no_path_is_refused():
    with pytest.raises(ConfigError, match="the export's folder is None; give a path"):
        export.load(None)


def test_missing_parameters(copy):
    (copy / "params.msgpack").unlink()
    with pytest.raises(DataError, match="params.msgpack is missing"):
        export.load(copy)


@pytest.mark.parametrize("kept", [0, 1, 100, -1])
def test_truncated_parameters(copy, kept):
    path = copy / "params.msgpack"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="cannot be read .*; take it again from where it came"):
        export.load(copy)


@pytest.mark.parametrize("text", ["", "{", "{}", '{"config": {}, "step": 1}', "[]"])
def test_damaged_config(copy, text):
    (copy / "config.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read"):
        export.load(copy)


def test_interrupted_export_leaves_the_old_one(copy, monkeypatch):
    before = (copy / "params.msgpack").read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", fail)
    state = methods.InferenceState({"w": np.zeros(3)}, {})
    with pytest.raises(OSError):
        export.write_export(copy, tiny_config(), 50, state)
    assert (copy / "params.msgpack").read_bytes() == before
    assert json.loads((copy / "config.json").read_text())["step"] == 40


def test_what_the_method_has_not_is_told_when_it_is_called(tmp_path):
    config = digits_hat.get_config("quick")
    config.model.energy.hidden, config.model.energy.halvings = (4,), 1
    config.model.generator.hidden, config.hat.bank_size = (4, 4), 32
    config.data.num_examples = 100
    batch = {"image": np.zeros((2, 8, 8, 1), np.float32), "index": np.arange(2)}
    state = jit_once(methods.build(config).init)(jax.random.key(0), batch)
    export.write_export(tmp_path, config, 1, methods.inference_state(state))
    model = export.load(tmp_path)
    for name in ("posterior", "reconstruct"):
        message = f"method 'hat' has no latents of an image, so no `{name}`"
        with pytest.raises(ConfigError, match=message):
            getattr(model, name)(batch["image"], jax.random.key(0))
    assert model.log_score(batch["image"], jax.random.key(0)).shape == (2,)
