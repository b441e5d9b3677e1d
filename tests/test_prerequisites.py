"""What data set or method lack is said before training, in one sentence."""

import pytest

from configs import digits_sngan
from ebm_jax import methods
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.prerequisites import validate_method, validate_with_data
from tests.test_train import tiny_config


def test_fid_is_checked_before_training(tmp_path, monkeypatch):
    monkeypatch.setenv("EBM_JAX_INCEPTION", str(tmp_path / "none.npz"))
    config = tiny_config()
    config.eval.tasks = ("fid",)
    config.eval.fid_features, config.eval.num_samples = 2048, 300
    with pytest.raises(ConfigError, match="at least 2049 samples .eval.num_samples.*, but got 300"):
        validate_with_data(config, Grey)
    config.eval.fid_features = 192
    with pytest.raises(DataError, match="no file of Inception weights"):
        validate_with_data(config, Grey)
    config.eval.fid_resize = "cubic"
    with pytest.raises(ConfigError, match="resize mode is 'cubic'"):
        validate_with_data(config, Grey)


def test_batch_larger_than_the_data_set():
    config = tiny_config()
    config.data.batch_size = 501
    with pytest.raises(ConfigError, match="batch_size is 501, more than the 500 images of 'mnist'"):
        validate_with_data(config, Grey)


class Grey:
    name, num_classes, image_shape, num_examples = "mnist", 10, (28, 28, 1), 500


class Colour:
    name, num_classes, image_shape, num_examples = "svhn", 10, (32, 32, 3), 500


def test_fd_classifier_of_colour_images_is_refused():
    config = tiny_config()
    config.eval.tasks = ("fd_classifier",)
    config.eval.num_samples = 65
    validate_with_data(config, Grey)
    with pytest.raises(ConfigError, match="'svhn' has 10 classes and 3 channels"):
        validate_with_data(config, Colour)
    config.eval.tasks = ("chains",)
    validate_with_data(config, Colour)


@pytest.mark.parametrize(
    "task, setting",
    [
        ("fd_classifier", "num_samples"),
        ("chains", "long_chain_samples"),
        ("learning_curve", "num_samples"),
    ],
)
def test_too_few_samples_for_a_covariance(task, setting):
    config = tiny_config()
    config.eval.tasks = (task,)
    config.eval[setting] = 64
    with pytest.raises(ConfigError, match=f"eval.{setting} is 64, but task {task} needs at least"):
        validate_with_data(config, Grey)
    config.eval[setting] = 65
    validate_with_data(config, Grey)


@pytest.mark.parametrize("task", ["fd_classifier", "chains"])
def test_too_few_training_images_for_a_covariance(task, monkeypatch):
    config = tiny_config()
    config.eval.tasks = (task,)
    monkeypatch.setattr(Grey, "num_examples", 64)
    with pytest.raises(ConfigError, match=f"{task}, which compares with 65 training .* has 64;"):
        validate_with_data(config, Grey)
    monkeypatch.setattr(Grey, "num_examples", 65)
    validate_with_data(config, Grey)


@pytest.mark.parametrize(
    "task, message",
    [
        ("residual", "'sngan' adds no residual to its generator's images; leave"),
        ("ood", "has no density of an image; leave it out"),
        ("reconstruction", "has no latents of an image"),
        ("hierarchy", "has no layers of latents"),
        ("likelihood", "has no density of images to integrate"),
    ],
)
def test_tasks_that_a_method_has_nothing_for(task, message):
    config = digits_sngan.get_config("quick")
    config.data.num_examples = 100
    method = methods.build(config)
    validate_method(config, method)
    config.eval.tasks = (task,)
    with pytest.raises(ConfigError, match=f"eval.tasks names {task}, but method .*{message}"):
        validate_method(config, method)
    config = tiny_config()
    config.data.num_examples = 100
    config.eval.recalibration_batches = 3
    with pytest.raises(ConfigError, match="recalibration_batches is 3, but method 'joint' has no"):
        validate_method(config, methods.build(config))
    config = tiny_config()
    config.eval.tasks = ("ood", "reconstruction", "hierarchy", "likelihood")
    config.data.num_examples = 100
    validate_method(config, methods.build(config))
