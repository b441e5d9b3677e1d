"""Task `ood`: the direction of its scores in a model known in closed form, and its JSON."""

import json
import shutil

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from ebm_jax import data, randomness
from ebm_jax.errors import ConfigError, DataError, PreemptedError
from ebm_jax.evaluate import evaluate
from ebm_jax.evaluation import ood
from ebm_jax.evaluation.context import Context
from ebm_jax.methods import InferenceState, Method
from ebm_jax.samplers import normal_like
from tests.methods import linear_gaussian as model
from tests.test_train import tiny_config, trained_workdir

RANGE = 12.0


def linear_gaussian_method():
    """L^{>k} with exact posterior samples of the linear-Gaussian model; x as 2×2 images."""

    def log_terms(state, images, key, index, k=0):
        params = state.params
        x = images.reshape(-1, model.DX)  # [B, 4]
        keys = randomness.per_example(key, index)
        noise = normal_like(keys, jnp.zeros((len(x), model.D1 + model.D2)))

        def posterior(x, noise):
            _, h, precision = model.natural(lambda z: model.log_joint(params, x, z), x.dtype)
            root = jnp.linalg.cholesky(precision)
            return jnp.linalg.solve(precision, h) + jnp.linalg.solve(root.T, noise)

        flat = jax.vmap(posterior)(x, noise)
        z = (flat[:, : model.D1], flat[:, model.D1 :])
        prior = model.prior(params)
        if k:
            redraw = normal_like(randomness.streams(keys, "redraw"), z)
            z = prior.redraw(redraw, z, k)
        return {
            "likelihood": model.log_likelihood(params, x, z),
            "energy": model.neg_energy(params, z),
            "prior": prior.log_prob(z),
        }

    fields = dict.fromkeys(Method._fields)
    return Method(
        **fields | {"name": "linear", "log_terms": jax.jit(log_terms, static_argnames="k")}
    )


def images_of(x):
    return np.rint((np.clip(x / RANGE, -1, 1) + 1) * 127.5).astype(np.uint8).reshape(-1, 2, 2, 1)


@pytest.fixture
def context(tmp_path):
    """In: draws of the model. Out: z_1 lies far from what z_2 says, though x is made of z_1."""
    params = model.parameters()
    rng = np.random.default_rng(0)
    z2 = rng.standard_normal((300, model.D2)).astype(np.float32)
    p = jax.tree.map(np.asarray, params["prior"])
    scale = np.exp(p["log_s"])[None]
    z1 = z2 @ p["A"] + p["a"][None] + scale * rng.standard_normal((300, model.D1))
    g = jax.tree.map(np.asarray, params["generator"])
    noise = model.SIGMA * rng.standard_normal((300, model.DX))
    inside = z1 @ g["W"] + g["w"][None] + noise
    outside = (z1 + 5 * scale) @ g["W"] + g["w"][None] + noise
    for name, x in (("in", inside), ("out", outside[:120])):
        images = images_of(x)
        np.savez(tmp_path / f"{name}.npz", images_test=images, images_train=images)
    config = ml_collections.ConfigDict(
        dict(
            seed=0,
            data=dict(
                name=f"npz:{tmp_path}/in.npz", train_split="train", eval_split="test",
                image_size=2, channels=1, crop=0, range=(-RANGE, RANGE), cache_gib=1.0,
            ),
            model=dict(latent_sizes=(model.D1, model.D2)),
            train=dict(ema_decay=0.9),
            sampler=dict(posterior=dict(kernel="langevin", num_steps=1, step_size=0.1)),
            eval=dict(
                tasks=("ood",),
                ood_data=(f"npz:{tmp_path}/out.npz",), ood_split="test", num_detection=None,
                score_samples=4, bootstrap=100, batch_size=70, posterior="inference",
                redraw="sample", redraw_steps=0,
            ),
        )
    )  # fmt: skip
    inside = data.open_dataset(config.data, "test")
    state = InferenceState(params, {})
    folder = tmp_path / "eval"
    return Context(config, linear_gaussian_method(), state, 7, folder, inside, inside, lambda: None)


def test_scores_rise_out_of_distribution(context):
    result = ood.run(context)
    for variant in ("equal_numbers", "natural_numbers"):
        assert set(result[variant]) == {"out/-L>0", "out/-L>1", "out/LLR>1"}
        for name, found in result[variant].items():
            assert found["auroc_low"] > 0.6, (variant, name)
            assert found["auroc_low"] <= found["auroc"] <= found["auroc_high"]
    assert result["equal_numbers"]["out/LLR>1"]["auroc"] > 0.85
    assert result["num_samples"] == 420
    (found,) = result["sets"].values()
    assert (found["num_in"], found["num_out"]) == (300, 120)
    assert found["num_each_of_equal_numbers"] == 120
    assert found["natural_prevalence"] == 120 / 420
    assert not (context.folder / "shards").exists()


def test_the_same_images_are_not_told_apart(context):
    images = context.eval_set.fetch(np.arange(120, 300))[0]
    np.savez(context.folder.parent / "out.npz", images_test=images)
    for found in ood.run(context)["equal_numbers"].values():
        assert found["auroc_low"] < 0.5 < found["auroc_high"]


def test_depth_scores():
    scores = ood.depth_scores([np.array([5.0]), np.array([3.0]), np.array([-1.0])])
    expected = {"-L>0": -5.0, "-L>1": -3.0, "-L>2": 1.0, "LLR>1": 2.0, "LLR>2": 6.0}
    assert {name: value.item() for name, value in scores.items()} == expected


def test_energy_scores():
    scores = ood.energy_scores([np.array([1.0]), np.array([-2.0]), np.array([4.0])])
    assert {name: value.item() for name, value in scores.items()} == {
        "-F>0": -3.0, "-F>1": -2.0, "-F>2": -4.0,
    }  # fmt: skip


def test_interrupted_run_goes_on_with_the_same_numbers(context):
    whole = ood.run(context)
    calls = []

    def poll():
        calls.append(None)
        if len(calls) == 5:
            raise PreemptedError("stop")

    with pytest.raises(PreemptedError):
        ood.run(context._replace(poll=poll))
    assert len(list((context.folder / "shards" / "ood").rglob("*.npz"))) == 4
    made = []
    again = ood.run(context._replace(poll=lambda: made.append(None)))
    assert again == whole
    assert len(made) == 2 * (5 + 2) - 4  # two depths of ⌈300/70⌉ and ⌈120/70⌉ chunks


def test_number_of_examples_is_a_setting(context):
    context.config.eval.num_detection = 90
    result = ood.run(context)
    found = result["sets"]["out"]
    assert (found["num_in"], found["num_out"], result["num_samples"]) == (90, 90, 180)
    assert found["num_each_of_equal_numbers"] == 90
    natural = found["num_in_of_natural_numbers"], found["num_out_of_natural_numbers"]
    assert natural == (90, 36)
    assert found["natural_prevalence"] == 120 / 420


@pytest.mark.parametrize(
    "name, error, message",
    [
        ("digits", ConfigError, "names 'digits', the data set of the model itself"),
        (
            "npz:/nowhere.npz",
            DataError,
            "eval.ood_data names 'npz:/nowhere.npz', .* no file.*set eval.ood_data to npz:PATH",
        ),
    ],
)
def test_outside_that_is_none(name, error, message):
    config = tiny_config()
    config.eval.ood_data = (name,)
    with pytest.raises(error, match=message):
        ood.open_outsides(config)


@pytest.mark.parametrize(
    "names, message",
    [
        ((), "is \\(\\), which names no data set"),
        (("noise", "noise"), "two are called 'noise' in files"),
        (("npz:a/x.npz", "npz:b/x.npz"), "two are called 'x' in files"),
        (("folder:a/x y", "folder:b/x_y"), "two are called 'x_y' in files"),
    ],
)
def test_sets_need_names_of_their_own(names, message):
    config = tiny_config()
    config.eval.ood_data = names
    with pytest.raises(ConfigError, match=message):
        ood.open_outsides(config)


@pytest.mark.parametrize("num_detection", [None, 90])
def test_every_set_has_its_own_numbers(context, num_detection):
    """Noise beside the set of before, whose numbers it leaves as they are."""
    context.config.eval.num_detection = num_detection
    alone = ood.run(context)
    given = context.config.eval.ood_data
    context.config.eval.ood_data = ("noise",)
    noise_alone = ood.run(context)
    context.config.eval.ood_data = (*given, "noise")
    both = ood.run(context)
    for kind in ("equal_numbers", "natural_numbers"):
        assert both[kind] == alone[kind] | noise_alone[kind]
    assert both["sets"]["out"] == alone["sets"]["out"]
    assert both["equal_numbers"]["noise/-L>0"]["auroc"] > 0.9
    noise = both["sets"]["noise"]
    assert (noise["data"], noise["num_in"] < 300) == ("noise", bool(num_detection))
    assert noise["num_out"] == (num_detection or 10_000)
    assert {name.split("_")[1] for name in both["figures"]} == {"out", "noise"}
    assert len(both["figures"]) == 4


def test_colour_images_are_refused_by_a_grey_model(tmp_path):
    np.savez(tmp_path / "colour.npz", images_test=np.zeros((4, 8, 8, 3), np.uint8))
    config = tiny_config()
    config.eval.ood_data = (f"npz:{tmp_path}/colour.npz",)
    with pytest.raises(
        DataError, match="for a model of 1-channel images: .* 3 channels .*: convert the images"
    ):
        ood.open_outsides(config)


def test_json_on_digits(tmp_path):
    """Out: the digits in negative."""
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    pixels, _ = data.open_dataset(tiny_config().data, "test").fetch(np.arange(359))
    np.savez(tmp_path / "negative.npz", images_test=255 - pixels)
    config = tiny_config()
    config.eval.tasks = ("ood",)
    config.eval.ood_data = (f"npz:{tmp_path}/negative.npz",)
    evaluate(config, folder)
    written = json.loads((folder / "eval" / "ood.json").read_text())
    assert (written["step"], written["metric"], written["num_samples"]) == (40, "auroc", 400)
    assert (
        written["results"]["negative/-L>0"]
        == written["equal_numbers"]["negative/-L>0"]["auroc"]
        > 0.7
    )
    assert "averaged weights" in written["protocol"] and "npz:" in written["protocol"]
    assert "Σ_{i>k} f_i(z_i)" in written["protocol"]
    assert {"negative/-F>0", "negative/-F>1"} <= set(written["results"])
    for figure in written["figures"]:
        assert (folder / "eval" / figure).stat().st_size > 0
    assert "LLR&gt;1" in (folder / "report.html").read_text()
