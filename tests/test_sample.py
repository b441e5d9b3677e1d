"""--mode sample: free images, with frozen layers, with attributes, from runs and exports."""

import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from configs import digits_control, digits_hvae
from ebm_jax import data, export, methods, randomness, stored_config
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.sample import draw, drawn_with, sample
from tests.test_train import tiny_config, trained_workdir


@pytest.fixture
def run(tmp_path):
    return shutil.copytree(trained_workdir(), tmp_path / "run")


@pytest.fixture(scope="module")
def controlled(tmp_path_factory):
    """The export of an untrained model whose latents are coupled with attributes."""
    config, base = digits_control.get_config(), digits_hvae.get_config()
    config.sampler.prior.num_steps = 30
    config.coupling.layers = ((), (2,))
    dataset = data.open_dataset(config.data, "train")
    data.fill_in(config.data, dataset)
    batch = data.make_batch(dataset, config.data, 0, 0)
    key = jax.random.key(0)
    first = methods.inference_state(methods.build(base).init(key, batch))
    state = methods.build(config).init(key, batch, first)
    folder = tmp_path_factory.mktemp("controlled")
    export.write_export(folder, config, 7, methods.inference_state(state))
    return folder


def drawn(folder, config=None, /, **wanted):
    """`draw` with these settings of `config.sample`; the folder's own config by default."""
    config = config or stored_config.read(folder)
    for name, value in wanted.items():
        config.sample[name] = value
    return draw(config, folder)


def maps_of(folder):
    loaded = export.load(folder)
    maps = methods.build(loaded.config).maps
    return lambda z: maps.to_u(loaded.state, z), lambda z: maps.decode(loaded.state, z)


def test_samples_are_written(run):
    config = tiny_config()
    config.sample.num_images = 70
    lines = sample(config, run)
    images = np.load(run / "samples" / "samples.npz")["images"]
    assert images.shape == (70, 8, 8, 1) and images.dtype == np.uint8
    assert len(np.unique(images, axis=0)) > 60
    assert Image.open(run / "samples" / "samples.png").size[0] > 5 * 8
    assert len(lines) == 1 and lines[0].startswith("70 samples of step 40: ")
    assert "earlier ones" not in lines[0]
    assert sample(config, run)[0].endswith(", in the place of earlier ones")


def test_samples_go_where_they_are_told_to(run, tmp_path):
    config = stored_config.read(run / "export")
    config.sample.num_images, config.sample.folder = 4, str(tmp_path / "new" / "samples")
    config.sample.strip = 5
    sample(config, run / "export")
    names = {path.name for path in (tmp_path / "new" / "samples").iterdir()}
    assert names == {"samples.npz", "samples.json", "samples.png", "strip.png"}
    told = json.loads((tmp_path / "new" / "samples" / "samples.json").read_text())
    assert told["model"] == str(run / "export") and told["step"] == 40
    assert told["sample"]["num_images"] == 4 and told["seed"] == config.seed
    assert told["drawn_with"] == drawn_with(config.to_dict())
    assert told["drawn_with"]["sampler.prior.num_steps"] == 5
    assert not (run / "export" / "samples").exists()
    config.sample.strip = 0
    sample(config, run / "export")  # a strip of the samples before would not be of these
    assert not (tmp_path / "new" / "samples" / "strip.png").exists()


def test_a_folder_that_cannot_be_written_is_found_before_anything_is_drawn(
    run, tmp_path, monkeypatch
):
    config = stored_config.read(run / "export")
    (tmp_path / "file").write_text("precious")
    config.sample.folder = str(tmp_path / "file")
    monkeypatch.delattr("ebm_jax.sample._drawn")
    with pytest.raises(ConfigError, match="it is a file.; choose another sample.folder"):
        sample(config, run / "export")
    assert (tmp_path / "file").read_text() == "precious"


def test_a_draw_that_is_refused_leaves_the_place_as_it_was(run, tmp_path):
    config = stored_config.read(run / "export")
    config.sample.num_images, config.sample.strip = 4, 7  # of 5 steps
    places = tmp_path / "made" / "by" / "it", tmp_path / "mine"
    places[1].mkdir()
    (places[1] / "strip.png").write_text("precious")
    for place in places:
        config.sample.folder = str(place)
        with pytest.raises(ConfigError, match="does not divide"):
            sample(config, run / "export")
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "run"}
    config.sample.strip = 0
    sample(config, run / "export")
    assert (places[1] / "strip.png").read_text() == "precious"  # not of samples


def test_an_export_gives_what_its_run_gives(run):
    of_run = drawn(run, tiny_config(), num_images=20)
    of_export = drawn(run / "export", num_images=20)
    np.testing.assert_allclose(of_export.images, of_run.images, atol=1e-5)
    assert of_export.step == of_run.step == 40


def test_images_depend_on_their_number_and_the_seed_alone(run):
    config = tiny_config()
    many = drawn(run, config, num_images=20)
    config.eval.batch_size = 7
    few = drawn(run, config, num_images=12)
    np.testing.assert_allclose(few.images, many.images[:12], atol=1e-5)
    other = drawn(run, config, seed=1).images
    assert np.abs(other - few.images).mean() > 0.01


def test_the_base_prior_is_another(run):
    ebm, gaussian = (drawn(run, tiny_config(), prior=p).latents for p in ("ebm", "gaussian"))
    assert np.abs(ebm[1] - gaussian[1]).mean() > 0.01


@pytest.mark.parametrize("frozen, free", [(2, 1), (1, 2)])
def test_frozen_layers_are_those_of_the_first_image(run, frozen, free):
    of_free = drawn(run / "export", num_images=9)
    found = drawn(run / "export", num_images=9, frozen=(frozen,))
    to_u, decode = maps_of(run / "export")
    expected = list(to_u(of_free.latents))
    expected[frozen - 1] = np.repeat(expected[frozen - 1][:1], 9, axis=0)
    u = to_u(found.latents)
    for got, want in zip(u, expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-4)
    assert np.std(u[free - 1], axis=0).min() > 0.1
    np.testing.assert_allclose(found.images, decode(found.latents), atol=1e-5)
    np.testing.assert_allclose(found.images[0], of_free.images[0], atol=1e-4)


def test_strips_end_at_the_samples(run):
    found = drawn(run, tiny_config(), num_images=3, strip=5)
    assert found.chains.shape == (3, 5, 8, 8, 1)
    np.testing.assert_allclose(found.chains[:, -1], found.images, atol=1e-5)
    lines = sample(tiny_config_with(num_images=3, strip=5), run)
    assert "3 chains, a row each" in lines[1] and (run / "samples" / "strip.png").is_file()


def tiny_config_with(**wanted):
    config = tiny_config()
    config.sample.update(wanted)
    return config


def test_attributes_are_asked_for_by_name(controlled):
    free = drawn(controlled, num_images=40)
    asked = drawn(controlled, num_images=40, attributes=(("thickness", 2),))
    other = drawn(controlled, num_images=40, attributes=(("thickness", 0),))
    assert np.abs(asked.latents[0] - free.latents[0]).mean() > 0.01
    assert np.abs(asked.latents[0] - other.latents[0]).mean() > 0.01


def test_a_loaded_model_is_asked_by_name(controlled):
    """As by `--mode sample`, from its key."""
    asked = drawn(controlled, num_images=4, attributes=(("thickness", 2),))
    model = export.load(controlled)
    key = randomness.stream(jax.random.key(model.config.seed), "sample/samples")
    key = jax.random.fold_in(key, model.config.sample.seed)
    images, latents = model.request(key, 2, {"thickness": jnp.array(2)}, start=2)
    np.testing.assert_allclose(images, asked.images[2:], atol=1e-4)
    np.testing.assert_allclose(latents[0], asked.latents[0][2:], atol=1e-4)
    other, _ = model.request(key, 2, {"thickness": 2}, guidance=0.0, start=2)
    assert np.abs(other - images).max() > 0.01
    for wrong in (-1.0, float("nan")):
        with pytest.raises(ConfigError, match="guidance is .*; it must be a number of 0 or more"):
            model.request(key, 4, {"class": 3}, guidance=wrong)
    for wrong in ({"class": 10}, {}, {"class": True}, {"class": 7.0}):
        with pytest.raises(ConfigError, match="the request is .*; give pairs of a name and a val"):
            model.request(key, 4, wrong)


def test_requests_that_blow_up_blame_the_guidance(controlled):
    config = stored_config.read(controlled)
    config.eval.guidance = 1e38
    with pytest.raises(ConfigError, match="are not finite: .*; lower eval.guidance, or sampler"):
        drawn(controlled, config, num_images=2, attributes=(("class", 3),))


def test_a_model_without_attributes_cannot_be_asked(run):
    with pytest.raises(ConfigError, match="knows no attributes, so no `request`"):
        export.load(run / "export").request(jax.random.key(0), 1, {"class": 3})


def test_attributes_beside_frozen_layers(controlled):
    asked = drawn(controlled, num_images=5, attributes=(("class", 3),), frozen=(2,))
    free = drawn(controlled, num_images=1)
    to_u, _ = maps_of(controlled)
    top = to_u(asked.latents)[1]
    np.testing.assert_allclose(top, np.repeat(to_u(free.latents)[1], 5, axis=0), atol=1e-4)
    assert np.std(asked.latents[0], axis=0).mean() > 0.01


@pytest.mark.parametrize(
    "wanted, words",
    [
        (dict(num_images=0), "sample.num_images is 0; it must be a positive whole number"),
        (dict(prior="uniform"), "sample.prior is 'uniform'; use 'ebm' or 'gaussian'"),
        (dict(seed=-1), "sample.seed is -1; it must not be negative"),
        (dict(seed=2**32), "sample.seed is 4294967296; use a number below 4294967296"),
        (dict(folder="gs://b/x"), "sample.folder is 'gs://b/x', but only folders are written"),
        (dict(frozen=(3,)), "name some, not all, of the layers 1 .bottom. to 2"),
        (dict(frozen=(1, 2)), "name some, not all, of the layers"),
        (dict(strip=2), "does not divide the chain's 5 steps; use one of: 1, 5"),
        (dict(strip=7), "does not divide the chain's 5 steps"),
        (dict(strip=5, frozen=(1,)), "chains are shown of free samples alone"),
        (dict(strip=5, prior="gaussian"), "drawn without a chain; use 0"),
        (dict(attributes=(("class", 3),)), "the model knows no attributes"),
    ],
)
def test_what_cannot_be_drawn_is_refused(run, wanted, words):
    with pytest.raises(ConfigError, match=words):
        drawn(run / "export", **wanted)
    assert not (run / "export" / "samples").exists()


@pytest.mark.parametrize(
    "asked, wrong",
    [
        ((("hat", 1),), "there is no 'hat'"),
        ((("class", 10),), "there is no class 10"),
        (("class", 3), "these are no names with whole numbers"),
        ((("class", 3.7),), "these are no names with whole numbers"),
        ((("class", 3), ("class", 4)), "a name is given twice"),
        ((("class", True),), "these are no names with whole numbers"),
        (("class",), "these are no names"),  # what a dict on the command line becomes
    ],
)
def test_unknown_attributes_are_refused(controlled, asked, wrong):
    words = wrong + r'.* as \(\("class", 0\),\), .* there are: class 0 to 9, thickness 0 to 2'
    with pytest.raises(ConfigError, match=words):
        drawn(controlled, attributes=asked)


def test_attributes_that_frozen_layers_hold_are_refused(controlled):
    asked = (("class", 3), ("thickness", 1))
    with pytest.raises(ConfigError, match="frozen is .2,., but thickness, .* with layers 2 alone"):
        drawn(controlled, attributes=asked, frozen=(2,))
    drawn(controlled, num_images=1, attributes=asked, frozen=(1,))
    drawn(controlled, num_images=1, attributes=asked[:1], frozen=(2,))


def test_an_export_of_another_run_is_refused(run):
    config = tiny_config()
    config.model.latent_sizes = (5, 2)
    with pytest.raises(ConfigError, match="holds a run with other settings"):
        drawn(run / "export", config)


def test_a_damaged_export_is_refused(run):
    (run / "export" / "params.msgpack").write_bytes(b"no")
    with pytest.raises(DataError, match="cannot be read"):
        drawn(run / "export")
