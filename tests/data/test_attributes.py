"""Attributes: measured on shapes whose thickness and slant are known, cut, and put into batches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax import data
from ebm_jax.data import attributes
from ebm_jax.data.transform import to_float
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.measures import MEASURES

BOTH = (("class", 10), ("thickness", 3), ("slant", 2))


def bar(width, side=400):
    image = np.zeros((side, side, 1), np.uint8)
    image[50:-50, 100 : 100 + width] = 255
    return image


def sheared(columns_per_row, side=61):
    """A line of dots, leaning to the right where positive."""
    image = np.zeros((side, side, 1), np.uint8)
    middle = side // 2
    for up in range(-10, 11):
        image[middle - up, middle + columns_per_row * up] = 200
    return image


@pytest.mark.parametrize("width", [2, 3, 8])
def test_thickness_of_a_long_bar_is_half_a_pixel_less_than_its_width(width):
    found = attributes.measured("thickness", np.stack([bar(width), np.zeros_like(bar(1))]))
    np.testing.assert_allclose(found, [width - 0.5, 0.0], rtol=0.03)


def test_a_faint_edge_is_little_thickness():
    image = bar(4)
    faint = image.copy()
    faint[50:-50, [99, 104]] = 77
    before, after = attributes.measured("thickness", np.stack([image, faint]))
    assert before < after < before + 0.4  # 0.6 with all brightness


@pytest.mark.parametrize("shear", [-2, -1, 0, 1, 3])
def test_slant_is_the_shear(shear):
    found = attributes.measured("slant", np.stack([sheared(shear), np.zeros_like(sheared(0))]))
    np.testing.assert_allclose(found, [shear, 0.0], atol=1e-12)


def test_brightness_changes_neither():
    image = np.stack([bar(3), bar(3) // 2])
    for name in MEASURES:
        bright, dark = attributes.measured(name, image)
        assert dark == pytest.approx(bright, abs=1e-9)


@pytest.mark.parametrize("name", MEASURES)
def test_jax_measures_what_numpy_does(name, make_config):
    dataset = data.open_dataset(make_config(), "train")
    grey = dataset.fetch(np.arange(200))[0][..., 0] / 255.0
    grey[0] = 0.0
    found = jax.jit(MEASURES[name])(jnp.asarray(grey, jnp.float32))
    assert isinstance(found, jax.Array)
    np.testing.assert_allclose(found, MEASURES[name](grey), atol=2e-5)


@pytest.fixture
def digits(make_config):
    """(config.data, the training split), described."""
    config = make_config(name="digits", image_size=8, batch_size=40)
    config.attributes, config.attribute_edges = BOTH, None
    dataset = data.open_dataset(config, "train")
    data.fill_in(config, dataset)
    return config, dataset


def test_edges_cut_the_training_images_into_equal_parts(digits):
    config, dataset = digits
    assert [len(cuts) for cuts in config.attribute_edges] == [0, 2, 1]
    values = attributes.values_of(dataset, BOTH, config.attribute_edges)
    np.testing.assert_array_equal(values[:, 0], dataset.labels)
    for column, size in ((1, 3), (2, 2)):
        counts = np.bincount(values[:, column], minlength=size)
        np.testing.assert_allclose(counts / dataset.num_examples, 1 / size, atol=0.01)
    measured = attributes.measured("thickness", dataset.fetch(np.arange(dataset.num_examples))[0])
    assert measured[values[:, 1] == 0].max() <= measured[values[:, 1] == 2].min()


def test_batches_have_the_values_of_their_images(digits):
    config, dataset = digits
    batch = data.make_batch(dataset, config, seed=3, k=2)
    assert batch["attributes"].dtype == np.int32
    pixels = np.rint((batch["image"] + 1) * 127.5).astype(np.uint8)
    np.testing.assert_array_equal(batch["image"], to_float(pixels, config.range))
    for column, name in ((1, "thickness"), (2, "slant")):
        expected = np.digitize(attributes.measured(name, pixels), config.attribute_edges[column])
        np.testing.assert_array_equal(batch["attributes"][:, column], expected)
    np.testing.assert_array_equal(batch["attributes"][:, 0], batch["label"])


def test_without_attributes_a_batch_has_none(make_config):
    config = make_config(name="digits", image_size=8, batch_size=8)
    dataset = data.open_dataset(config, "train")
    data.fill_in(config, dataset)
    assert config.num_examples == dataset.num_examples
    assert "attributes" not in data.make_batch(dataset, config, 0, 0)


@pytest.mark.parametrize(
    "given, flip, error, message",
    [
        ((("class", 9),), False, ConfigError, "gives class 9 values, but digits has 10; use that"),
        (("class",), False, ConfigError, "give pairs of a name and its number of values"),
        ((("slant", 1),), False, ConfigError, "give pairs of a name and its number of values, 2"),
        ((("slant", 2), ("slant", 3)), False, ConfigError, "one of them twice"),
        ((("slant", 2),), True, ConfigError, "names slant, which data.flip turns round"),
        ((("slant", 5_000),), False, ConfigError, "slant 5000 values, some of which no image of"),
        ((("thickness", 450),), False, ConfigError, "thickness 450 values, some of which no image"),
        ((("Smiling", 2),), False, DataError, "names 'Smiling', which digits has not; use class"),
    ],
)
def test_attributes_that_make_no_sense(make_config, given, flip, error, message):
    config = make_config(name="digits", image_size=8, flip=flip)
    config.attributes, config.attribute_edges = given, None
    with pytest.raises(error, match=message):
        data.fill_in(config, data.open_dataset(config, "train"))


def test_colour_and_unlabelled_images_lack_some(make_config, tmp_path):
    path = tmp_path / "set.npz"
    np.savez(path, images_train=np.zeros((4, 8, 8, 3), np.uint8))
    config = make_config(name=f"npz:{path}", image_size=8, channels=3)
    dataset = data.open_dataset(config, "train")
    for name, error, words in (
        ("thickness", ConfigError, "measured on grey images, but those of .* have 3 channels"),
        ("class", DataError, "names class, but .* has no labels"),
    ):
        with pytest.raises(error, match=words):
            attributes.edges_of(dataset, ((name, 2),))
