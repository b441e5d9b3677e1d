"""Settings are refused before anything starts, in one sentence."""

import warnings

import pytest

from configs import celeb_a_nvae, celeb_a_two_stage, digits_control
from ebm_jax.errors import ConfigError
from ebm_jax.validation import validate
from tests.test_train import tiny_config


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("train.num_steps", 0, "train.num_steps is 0; it must be positive"),
        ("train.log_every", -1, "train.log_every is -1; it must be positive"),
        ("train.checkpoint_every", 0, "train.checkpoint_every is 0"),
        ("train.image_every", 0, "train.image_every is 0"),
        ("train.steps_per_dispatch", 0, "train.steps_per_dispatch is 0"),
        ("train.remat", True, "train.remat is True, but model.generator.kind 'mlp' has no cells"),
        ("data.attributes", ("class", 10), r"data.attributes is \('class', 10\); give pairs of a"),
        (
            "eval.level_shares",
            (1, 2),
            r"level_shares is \(1, 2\), but method .joint. has",
        ),
        ("train.steps_per_dispatch", 3, "train.num_steps is 40, no multiple .* = 3"),
        (
            "eval.last_checkpoints",
            4,
            "last_checkpoints is 4, but the run keeps 3; lower it",
        ),
        ("train.ema_decay", 1.0, r"train.ema_decay is 1.0; it must be in \[0, 1\)"),
        (
            "optim.prior.algorithm",
            "lion",
            "algorithm is .lion.; use one of: adam, adamax, sgd.",
        ),
        ("model.energy.compute_dtype", "half", "model.energy.compute_dtype is .half.; use"),
        ("compute_dtype", "float16", "compute_dtype is 'float16'; use 'float32' or 'bfloat16'"),
        ("model.latent_sizes", (4, 0), r"model.latent_sizes is \(4, 0\)"),
        ("seed", 2**63, "seed is 9223372036854775808; it must have 64 bits at most"),
        ("model.latent_sizes", (), r"model.latent_sizes is \(\)"),
        ("model.likelihood.sigma", -1.0, "model.likelihood.sigma is -1.0; it must be positive"),
        ("stability.max_energy", float("nan"), "stability.max_energy is nan"),
        ("optim.energy_l2", float("nan"), "optim.energy_l2 is nan; it must be a finite number"),
        ("optim.energy_l2", -1.0, "optim.energy_l2 is -1.0; it must not be negative"),
        ("sampler.prior.step_size", -0.1, "sampler.prior.step_size is -0.1; it must be positive"),
        ("sampler.prior.num_steps", 0, "sampler.prior.num_steps is 0; it must be positive"),
        ("sampler.prior.clip", -1.0, "sampler.prior.clip is -1.0; it must not be negative"),
        ("sampler.posterior.step_size", float("inf"), "step_size is inf; it must be a finite"),
        ("stability.max_energy", float("nan"), "max_energy is nan; it must be a finite number"),
        ("model.energy.hidden", (-4, 8), "energy.hidden is .-4, 8.; widths are positive whole"),
        ("model.generator.hidden", (0, 16), "generator.hidden is .0, 16.; widths are positive"),
        ("model.inference.latent_hidden", (2.5,), "latent_hidden is .2.5,.; widths are positive"),
        ("optim.generator.learning_rate", -1.0, "generator.learning_rate is -1.0; it must be at"),
        ("optim.prior.joint_learning_rate", float("nan"), "prior.joint_learning_rate is nan"),
        ("optim.energy.linear_decay_steps", 7, "after which nothing would learn until step"),
        ("optim.energy.b1", 5.0, r"optim.energy.b1 is 5.0; it must be in \[0, 1\)"),
        ("optim.energy.decay_per_epoch", 1.5, r"decay_per_epoch is 1.5; it must be in \(0, 1\]"),
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
        ("eval.redraw_steps", -1),
        ("eval.num_detection", 0),
        ("eval.score_samples", 0),
        ("eval.bootstrap", 0),
        ("eval.likelihood_temperatures", 0),
        ("eval.partition_chains", 0),
        ("eval.iwae_samples", 0),
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


@pytest.mark.parametrize(
    "steps",
    [
        (45, 1.0),
        ((45, 1.0), (15,)),
        ((0, 1.0),),
        ((True, 1.0),),
        ((4.5, 1.0),),
        ((5, -1.0),),
        ((5, "a"),),
        ((5, 5.0),),  # of 0.4: steps of 2
    ],
)
def test_steps_of_requests_that_are_none(steps):
    config = tiny_config()
    config.sampler.prior.step_size = 0.4
    config.eval.request_steps = ((45, 1.0), (15, 0.1), (2, 4.99))
    validate(config)
    config.eval.request_steps = steps
    with pytest.raises(ConfigError, match="eval.request_steps is .*; give pairs of a positive"):
        validate(config)


def test_steps_of_requests_for_a_method_with_its_own():
    config = digits_control.get_config("quick")
    config.train.first_stage = "runs/digits_hvae"
    validate(config)
    config.eval.request_steps = ((45, 1.0), (15, 0.1))
    with pytest.raises(ConfigError, match="it is for method 'joint' .'diffusion' has step sizes"):
        validate(config)


def test_guidance_away_from_what_is_asked_for():
    config = tiny_config()
    config.eval.guidance = 0.0
    validate(config)
    config.eval.guidance = -1.0
    with pytest.raises(ConfigError, match="eval.guidance is -1.0; it must not be negative"):
        validate(config)


def test_unknown_task():
    config = tiny_config()
    config.eval.tasks = ("reconstruction", "horoscope")
    with pytest.raises(ConfigError, match="names 'horoscope'; known tasks: anomaly, chains"):
        validate(config)


@pytest.mark.parametrize(
    "task, message",
    [
        ("anomaly", "names anomaly, but data.held_out_class is not set, so the model sees every"),
        ("ood", "names ood, but eval.ood_data is not set"),
    ],
)
def test_settings_a_task_cannot_do_without(task, message):
    config = tiny_config()
    config.eval.tasks = (task,)
    with pytest.raises(ConfigError, match=message):
        validate(config)
    config.data.held_out_class = 0
    config.eval.ood_data = ("mnist",)
    validate(config)


@pytest.mark.parametrize("setting", ["diagnostic_chains", "diagnostic_steps", "long_chain_steps"])
def test_chains_too_few_or_too_short_for_diagnostics(setting):
    config = tiny_config()
    config.eval.tasks = ("diagnostics",)
    validate(config)
    config.eval[setting] = 1
    with pytest.raises(ConfigError, match=f"{setting} is 1, but task diagnostics needs at least"):
        validate(config)


def test_one_sample_is_no_scatter():
    config = tiny_config()
    config.eval.tasks = ("latent_scatter",)
    config.eval.hierarchy_samples = 1
    with pytest.raises(ConfigError, match="hierarchy_samples is 1, but task latent_scatter needs"):
        validate(config)


@pytest.mark.parametrize("task", ["chains", "diagnostics"])
def test_long_chains_must_be_longer_than_short_ones(task):
    config = tiny_config()
    config.eval.tasks = (task,)
    config.eval.long_chain_steps = 25
    validate(config)
    config.eval.prior_steps = 25
    with pytest.raises(ConfigError, match=f"is 25, but task {task} compares it with the 25 steps"):
        validate(config)
    config.model.energy.enabled = False
    validate(config)


def test_more_simulated_images_than_chains():
    config = tiny_config()
    config.eval.likelihood_simulated, config.eval.partition_chains = 11, 10
    with pytest.raises(ConfigError, match="likelihood_simulated is 11, but images are simulated"):
        validate(config)


def test_deep_models_and_energies_on_them_may_recompute_their_cells():
    for get_config in (celeb_a_nvae.get_config, celeb_a_two_stage.get_config):
        config = get_config()
        assert config.train.remat
        validate(config)


def test_energies_that_never_learn_are_told():
    config = tiny_config()
    config.train.warmup_steps = config.train.num_steps
    with pytest.warns(UserWarning, match="warmup_steps is 40, so with .* the energies never"):
        validate(config)
    config.model.energy.enabled = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate(config)
