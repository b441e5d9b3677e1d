"""What a config needs of its data set and its method, checked before training and not after."""

from typing import Any

from ebm_jax import data, methods
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import CHECKS, JUDGED, METHOD_NEEDS
from ebm_jax.evaluation.classifier import FEATURE_WIDTH
from ebm_jax.evaluation.generation import is_judged


def prepare(config: Any) -> tuple[data.Dataset, methods.Method]:
    """Opens the training images and builds the method, having checked both.

    Args:
      config: the experiment's config; what follows from the data is filled in.

    Returns:
      (training images, method).

    Raises:
      ConfigError: settings, data set and method do not go together.
      DataError: the data set or a task's weights cannot be read.
    """
    dataset = data.open_dataset(config.data, config.data.train_split)
    data.open_dataset(config.data, config.data.eval_split)
    validate_with_data(config, dataset)
    data.fill_in(config.data, dataset)
    method = methods.build(config)
    validate_method(config, method)
    return dataset, method


def validate_with_data(config: Any, dataset: Any) -> None:
    """Checks that batch and tasks suit this data set.

    Args:
      config: the experiment's config.
      dataset: its training images.

    Raises:
      ConfigError: a task needs what the data set lacks or more samples than the config draws, or
        the batch is larger than the data set.
    """
    if config.data.batch_size > dataset.num_examples:
        raise ConfigError(
            f"data.batch_size is {config.data.batch_size}, more than the {dataset.num_examples} "
            f"images of '{dataset.name}'; use a smaller one."
        )
    for task in config.eval.tasks:
        if task in CHECKS:
            CHECKS[task](config, dataset)
    judged = is_judged(dataset)
    if "fd_classifier" in config.eval.tasks and not judged:
        raise ConfigError(
            f"eval.tasks names fd_classifier, which needs grey images with labels, but "
            f"'{dataset.name}' has {dataset.num_classes} classes and {dataset.image_shape[-1]} "
            "channels; leave it out, e.g. --config.eval.tasks=\"('chains', 'reconstruction')\"."
        )
    for task, setting in JUDGED.items():
        if not judged or task not in config.eval.tasks:
            continue
        if dataset.num_examples <= FEATURE_WIDTH:
            raise ConfigError(
                f"eval.tasks names {task}, which compares with {FEATURE_WIDTH + 1} training images "
                f"or more, but '{dataset.name}' has {dataset.num_examples}; leave it out."
            )
        count = config.eval[setting]
        if count is not None and count <= FEATURE_WIDTH:
            raise ConfigError(
                f"eval.{setting} is {count}, but task {task} needs at least {FEATURE_WIDTH + 1} "
                "samples for a covariance of full rank."
            )


def validate_method(config: Any, method: Any) -> None:
    """Checks that the method has what the tasks are about.

    Args:
      config: the experiment's config.
      method: its Method.

    Raises:
      ConfigError: names the task and what the method lacks.
    """
    for task in config.eval.tasks:
        for attribute, words in METHOD_NEEDS.get(task, {}).items():
            if not getattr(method, attribute):
                raise ConfigError(
                    f"eval.tasks names {task}, but method '{method.name}' {words}; leave it out."
                )
    if config.eval.recalibration_batches and method.recalibrate is None:
        raise ConfigError(
            f"eval.recalibration_batches is {config.eval.recalibration_batches}, but method "
            f"'{method.name}' has no statistics to take anew before sampling; use 0."
        )
