"""Settings that no single part can check for itself, checked before anything starts."""

import math
import warnings
from typing import Any

from ml_collections import ConfigDict

from ebm_jax.data.attributes import configured
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import LEAST, LONG, NEEDED, TASKS
from ebm_jax.methods import prior_steps
from ebm_jax.reporting.tables import flatten

_POSITIVE = (
    "data.batch_size",
    "data.image_size",
    "data.channels",
    "train.num_steps",
    "train.log_every",
    "train.checkpoint_every",
    "train.image_every",
    "train.keep_checkpoints",
    "train.steps_per_dispatch",
    "train.accumulate",
    "eval.num_samples",
    "eval.num_reconstructions",
    "eval.batch_size",
    "eval.grid",
    "eval.long_chain_steps",
    "eval.long_chain_samples",
    "eval.likelihood_images",
    "eval.likelihood_simulated",
    "eval.likelihood_temperatures",
    "eval.likelihood_chains",
    "eval.likelihood_leapfrog",
    "eval.partition_chains",
    "eval.iwae_samples",
    "eval.num_detection",
    "eval.score_samples",
    "eval.bootstrap",
    "eval.hierarchy_samples",
    "eval.last_checkpoints",
    "eval.sample_sets",
    "eval.fid_reference",
    "eval.prior_steps",
    "stability.max_grad_norm",
    "stability.max_energy",
    "stability.max_skipped",
    "stability.energy_backoff",
    "model.likelihood.sigma",
    "sampler.prior.num_steps",
    "sampler.prior.step_size",
    "sampler.posterior.num_steps",
    "sampler.posterior.step_size",
)
_NOT_NEGATIVE = (
    "eval.redraw_steps",
    "eval.recalibration_batches",
    "train.warmup_steps",
    "stability.max_rollbacks",
    "data.prefetch",
    "data.crop",
    "optim.energy_l2",
    "model.prior.sigma_floor",
    "sampler.prior.clip",
    "sampler.posterior.clip",
)
_TYPES = {
    str: ("a text", ("method.name", "data.name", "data.train_split", "data.eval_split")),
    int: (
        "a whole number",
        (
            "seed",
            "data.batch_size",
            "data.image_size",
            "data.channels",
            "data.crop",
            "data.prefetch",
            "train.num_steps",
            "train.warmup_steps",
            "train.log_every",
            "train.checkpoint_every",
            "train.image_every",
            "train.keep_checkpoints",
            "train.steps_per_dispatch",
            "train.accumulate",
        ),
    ),
}
_SEEDS = 2**63  # a key is made of 64 bits with a sign
_UNLIMITED = "stability."  # settings that may be infinite begin so
_RANGES = {  # of every optimiser group
    "learning_rate": (lambda v: 0 <= v < float("inf"), "at least 0 and finite"),
    "joint_learning_rate": (lambda v: 0 <= v < float("inf"), "at least 0 and finite"),
    "b1": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "b2": (lambda v: 0 <= v < 1, "in [0, 1)"),
    "l2": (lambda v: 0 <= v < float("inf"), "at least 0 and finite"),
    "clip_norm": (lambda v: v >= 0, "at least 0 (0 = off)"),
    "decay_per_epoch": (lambda v: 0 < v <= 1, "in (0, 1]"),
    "linear_decay_steps": (lambda v: v >= 0, "at least 0 (0 = off)"),
    "cosine_decay_steps": (lambda v: v >= 0, "at least 0 (0 = off)"),
    "final_learning_rate": (lambda v: 0 <= v < float("inf"), "at least 0 and finite"),
    "rising_steps": (lambda v: v >= 0, "at least 0 (0 = off)"),
}
_ALGORITHMS = ("adam", "adamax", "sgd")
_DISPATCHED = ("num_steps", "log_every", "checkpoint_every", "image_every")


def validate(config: Any) -> None:
    """Checks types, ranges and how settings fit together.

    Args:
      config: the experiment's ConfigDict.

    Raises:
      ConfigError: names the setting, its value and what is allowed.
    """
    try:
        _check_types(config)
        _check_values(config)
        configured(config.data)
        _check_model(config)
        _check_optimisers(config)
        _check_training(config.train)
        _check_warmup(config)
        _check_evaluation(config)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"the config lacks a setting, or has one of another type than configs/base.py "
            f"({type(error).__name__}: {error}); compare the two."
        ) from error


def _check_types(config):
    for kind, (words, names) in _TYPES.items():
        for name in names:
            value = _get(config, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise ConfigError(f"{name} is {value!r}; it must be {words}.")
    if not -_SEEDS <= config.seed < _SEEDS:
        raise ConfigError(f"seed is {config.seed}; it must have 64 bits at most.")


def _check_values(config):
    for name, value in flatten(config.to_dict(), ".").items():
        limited = not name.startswith(_UNLIMITED)
        if isinstance(value, float) and (math.isnan(value) or limited and math.isinf(value)):
            raise ConfigError(f"{name} is {value}; it must be a finite number.")
    for name in _POSITIVE:
        value = _get(config, name)
        if value is not None and not value > 0:  # NaN too
            raise ConfigError(f"{name} is {value}; it must be positive.")
    for name in _NOT_NEGATIVE:
        if not _get(config, name) >= 0:
            raise ConfigError(f"{name} is {_get(config, name)}; it must not be negative.")


def _check_model(config):
    if config.train.remat and config.model.generator.kind != "nvae":
        raise ConfigError(
            f"train.remat is True, but model.generator.kind '{config.model.generator.kind}' has no "
            "cells to compute again, only 'nvae' has; use False."
        )
    dtypes = {"compute_dtype": config.compute_dtype}
    for part, settings in _groups(config.model).items():
        if settings.get("compute_dtype"):  # else that of all
            dtypes[f"model.{part}.compute_dtype"] = settings.compute_dtype
        for name in ("hidden", "latent_hidden"):
            if not _are_widths(settings.get(name, ())):
                raise ConfigError(
                    f"model.{part}.{name} is {settings[name]}; widths are positive whole numbers."
                )
    for name, value in dtypes.items():
        if value not in ("float32", "bfloat16"):
            raise ConfigError(f"{name} is '{value}'; use 'float32' or 'bfloat16'.")
    sizes = tuple(config.model.latent_sizes)
    if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise ConfigError(
            f"model.latent_sizes is {sizes}; give one positive whole number per layer, bottom "
            "first."
        )


def _check_optimisers(config):
    for group, settings in config.optim.items():
        if isinstance(settings, str | tuple) or settings is None:
            raise ConfigError(f"optim.{group} is {settings!r}; it must be a group, or a number.")
    for group, settings in _groups(config.optim).items():
        if settings.algorithm not in _ALGORITHMS:
            raise ConfigError(
                f"optim.{group}.algorithm is '{settings.algorithm}'; use one of: "
                f"{', '.join(_ALGORITHMS)}."
            )
        for key, (allowed, what) in _RANGES.items():
            if settings[key] is not None and not allowed(settings[key]):
                raise ConfigError(f"optim.{group}.{key} is {settings[key]}; it must be {what}.")
        if 0 < settings.linear_decay_steps < config.train.num_steps:
            raise ConfigError(
                f"optim.{group}.linear_decay_steps is {settings.linear_decay_steps}, after which "
                f"nothing would learn until step {config.train.num_steps} of train.num_steps; set "
                "it to that, or to 0 for a constant rate."
            )


def _check_training(train):
    for name in _DISPATCHED:
        if train[name] % train.steps_per_dispatch:
            raise ConfigError(
                f"train.{name} is {train[name]}, no multiple of train.steps_per_dispatch = "
                f"{train.steps_per_dispatch}; change one of the two."
            )
    if not 0 <= train.ema_decay < 1:
        raise ConfigError(f"train.ema_decay is {train.ema_decay}; it must be in [0, 1).")


def _check_warmup(config):
    train = config.train
    if config.model.energy.enabled and train.warmup_steps >= train.num_steps:
        warnings.warn(
            f"train.warmup_steps is {train.warmup_steps}, so with train.num_steps "
            f"{train.num_steps} the energies never learn; lower the one or raise the other.",
            stacklevel=2,
        )


def _check_evaluation(config):
    if config.eval.level_shares and "diffusion" not in config:
        raise ConfigError(
            f"eval.level_shares is {tuple(config.eval.level_shares)}, but method "
            f"'{config.method.name}' has no levels; use ()."
        )
    if config.eval.get("guidance", 0.0) < 0:
        raise ConfigError(
            f"eval.guidance is {config.eval.guidance}; it must not be negative, or samples would "
            "lack what is asked for."
        )
    _check_request_steps(config)
    if config.eval.last_checkpoints > config.train.keep_checkpoints:
        raise ConfigError(
            f"eval.last_checkpoints is {config.eval.last_checkpoints}, but the run keeps "
            f"{config.train.keep_checkpoints}; lower it, or train with a larger "
            "train.keep_checkpoints."
        )
    if config.eval.likelihood_simulated > config.eval.partition_chains:
        raise ConfigError(
            f"eval.likelihood_simulated is {config.eval.likelihood_simulated}, but images are "
            f"simulated from the {config.eval.partition_chains} eval.partition_chains; raise those."
        )
    for task in config.eval.tasks:
        _check_task(config, task)


def _check_request_steps(config):
    steps = config.eval.get("request_steps")
    if not steps:
        return
    if config.method.name != "joint":
        raise ConfigError(
            f"eval.request_steps is {steps}, but it is for method 'joint' ('{config.method.name}' "
            "has step sizes of its own); use ()."
        )
    largest = 2 / config.sampler.prior.step_size  # of Langevin steps on a unit Gaussian
    if not all(_is_stage(stage, largest) for stage in steps):
        raise ConfigError(
            f"eval.request_steps is {steps}; give pairs of a positive whole number of steps and "
            "their positive size in units of sampler.prior.step_size, as in ((45, 1.0), (9, 0.1)); "
            f"steps of {largest:.3g} and more diverge."
        )


def _is_stage(stage: Any, largest: float) -> bool:
    if not (isinstance(stage, tuple | list) and len(stage) == 2):
        return False
    count, factor = stage
    whole = isinstance(count, int) and not isinstance(count, bool) and count > 0
    return whole and isinstance(factor, int | float) and 0 < factor < largest


def _are_widths(value: Any) -> bool:
    """Whether these are positive whole numbers, or tuples of such."""
    if isinstance(value, tuple | list):
        return all(map(_are_widths, value))
    return isinstance(value, int) and value > 0


def _check_task(config, task):
    if task not in TASKS:
        raise ConfigError(f"eval.tasks names '{task}'; known tasks: {', '.join(sorted(TASKS))}.")
    setting, why = NEEDED.get(task, (None, ""))
    if setting and _get(config, setting) in (None, ""):
        raise ConfigError(f"eval.tasks names {task}, but {setting} is not set, {why}.")
    for name, least in LEAST.get(task, {}).items():
        if config.eval[name] < least:
            raise ConfigError(
                f"eval.{name} is {config.eval[name]}, but task {task} needs at least {least}."
            )
    short = prior_steps(config)
    if task in LONG and config.model.energy.enabled and config.eval.long_chain_steps <= short:
        raise ConfigError(
            f"eval.long_chain_steps is {config.eval.long_chain_steps}, but task {task} compares it "
            f"with the {short} steps of the prior's chain; use a multiple of them."
        )


def _groups(config: Any) -> dict[str, Any]:
    """The settings that are groups of settings."""
    return {name: value for name, value in config.items() if isinstance(value, ConfigDict)}


def _get(config: Any, name: str) -> Any:
    """A setting by its dotted name."""
    for part in name.split("."):
        config = config[part]
    return config
