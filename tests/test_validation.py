"""Settings are refused before anything starts, in one sentence."""

import pytest

from ebm_jax.errors import ConfigError, DataError
from ebm_jax.validation import validate, validate_tasks
from tests.test_train import tiny_config


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("train.num_steps", 0, "train.num_steps is 0; it must be positive"),
        ("train.log_every", -1, "train.log_every is -1; it must be positive"),
        ("train.checkpoint_every", 0, "train.checkpoint_every is 0"),
        ("train.image_every", 0, "train.image_every is 0"),
        ("train.steps_per_dispatch", 0, "train.steps_per_dispatch is 0"),
        ("train.steps_per_dispatch", 3, "train.num_steps is 40, no multiple .* = 3"),
        ("train.ema_decay", 1.0, r"train.ema_decay is 1.0; it must be in \[0, 1\)"),
        ("compute_dtype", "float16", "compute_dtype is 'float16'; use 'float32' or 'bfloat16'"),
        ("model.latent_sizes", (4, 0), r"model.latent_sizes is \(4, 0\)"),
        ("model.latent_sizes", (), r"model.latent_sizes is \(\)"),
    ],
)
def test_senseless_settings(key, value, message):
    config = tiny_config()
    validate(config)
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError, match=message):
        validate(config)


@pytest.mark.parametrize(
    "key, value",
    [
        ("eval.batch_size", 0),
        ("eval.grid", 0),
        ("eval.num_reconstructions", 0),
        ("eval.prior_steps", -3),
        ("train.keep_checkpoints", 0),
        ("train.warmup_steps", -5),
        ("model.latent_sizes", (16, "a")),
        ("model.latent_sizes", (16.5, 8)),
    ],
)
def test_values_that_would_crash_later(key, value):
    config = tiny_config()
    config.update_from_flattened_dict({key: value})
    with pytest.raises(ConfigError, match=key):
        validate(config)


def test_unknown_task():
    config = tiny_config()
    config.eval.tasks = ("reconstruction", "horoscope")
    with pytest.raises(ConfigError, match="names 'horoscope'; known tasks: chains, fd_classifier"):
        validate(config)


class Grey:
    name, num_classes, image_shape = "mnist", 10, (28, 28, 1)


class Colour:
    name, num_classes, image_shape = "svhn", 10, (32, 32, 3)


def test_fd_classifier_of_colour_images_is_refused():
    config = tiny_config()
    config.eval.tasks = ("fd_classifier",)
    config.eval.num_samples = 65
    validate_tasks(config, Grey)
    with pytest.raises(DataError, match="'svhn' has 10 classes and 3 channels"):
        validate_tasks(config, Colour)
    config.eval.tasks = ("chains",)
    validate_tasks(config, Colour)


@pytest.mark.parametrize(
    "task, setting", [("fd_classifier", "num_samples"), ("chains", "long_chain_samples")]
)
def test_too_few_samples_for_a_covariance(task, setting):
    config = tiny_config()
    config.eval.tasks = (task,)
    config.eval[setting] = 64
    with pytest.raises(ConfigError, match=f"eval.{setting} is 64, but task {task} needs at least"):
        validate_tasks(config, Grey)
    config.eval[setting] = 65
    validate_tasks(config, Grey)
