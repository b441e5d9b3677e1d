"""Evaluation tasks: each takes a Context and returns what its JSON holds."""

from ebm_jax.evaluation import (
    anomaly,
    chains,
    control,
    diagnostics,
    fid_task,
    generation,
    hierarchy,
    interpolation,
    latent_classifier,
    latent_scatter,
    layer_reconstruction,
    learning_curve,
    likelihood_task,
    ood,
    posterior_inference,
    reconstruction,
    refinement,
    residual,
    traversal,
    yardstick,
)

TASKS = {
    "anomaly": anomaly.run,
    "chains": chains.run,
    "control": control.run,
    "diagnostics": diagnostics.run,
    "fd_classifier": generation.run,
    "fid": fid_task.run,
    "hierarchy": hierarchy.run,
    "interpolation": interpolation.run,
    "latent_classifier": latent_classifier.run,
    "latent_scatter": latent_scatter.run,
    "layer_reconstruction": layer_reconstruction.run,
    "learning_curve": learning_curve.run,
    "likelihood": likelihood_task.run,
    "ood": ood.run,
    "posterior_inference": posterior_inference.run,
    "reconstruction": reconstruction.run,
    "refinement": refinement.run,
    "residual": residual.run,
    "traversal": traversal.run,
}

# Tasks that compare samples by their Fréchet distance, and the setting with their number.
JUDGED = {
    "chains": "long_chain_samples",
    "control": "control_samples",
    "fd_classifier": "num_samples",
    "learning_curve": "num_samples",
    "refinement": "num_samples",
}

# Settings a task cannot do without: what to say where they are not set.
NEEDED = {
    "anomaly": (
        "data.held_out_class",
        "so the model sees every class; train without one, and evaluate with the same flag: "
        "--config.data.held_out_class=1",
    ),
    "ood": (
        "eval.ood_data",
        "so nothing is out of distribution; name a data set: --config.eval.ood_data=mnist",
    ),
}

_LAYERS = {"maps": "has no layers of latents"}
_ONE_TARGET = {"one_target": "draws samples through several densities"}
# What a method must have for a task: its attributes, and what to say of a method without.
METHOD_NEEDS = {
    "anomaly": {"log_score": "has no density of an image"},
    "control": {"control": "couples no attributes with its latents"},
    "diagnostics": _LAYERS | _ONE_TARGET,
    "likelihood": {"evidence": "has no density of images to integrate"},
    "ood": {"log_score": "has no density of an image"},
    "reconstruction": {"reconstruct": "has no latents of an image"},
    "refinement": {"has_energy": "has no energy, so no chain"},
    "residual": {"adds_residual": "adds no residual to its generator's images"},
    "latent_scatter": _LAYERS | _ONE_TARGET,
    **dict.fromkeys(
        (
            *("hierarchy", "interpolation", "latent_classifier"),
            *("layer_reconstruction", "posterior_inference", "traversal"),
        ),
        _LAYERS,
    ),
}

# Settings a task cannot use below these.
# Half of a chain is discarded and the rest split: ESS needs five draws in each part.
LEAST = {
    "diagnostics": {"diagnostic_chains": 2, "diagnostic_steps": 20, "long_chain_steps": 20},
    "latent_scatter": {"hierarchy_samples": 2},
    "refinement": {"sample_sets": 2},
}

# Tasks that compare a chain of the training length with one of `eval.long_chain_steps`.
LONG = ("chains", "diagnostics", "latent_scatter")

# What tasks check before training: (config, training images) → None.
CHECKS = {
    "control": control.check,
    "diagnostics": lambda config, _: diagnostics.step_sizes(config),
    "fid": fid_task.check,
    "learning_curve": yardstick.check,
    "ood": lambda config, _: ood.open_outsides(config),
    "posterior_inference": lambda config, _: posterior_inference.check(config),
    "refinement": yardstick.check,
}
