"""Evaluation tasks: each takes a Context and returns what its JSON holds."""

from ebm_jax.evaluation import (
    anomaly,
    chains,
    diagnostics,
    fid_task,
    generation,
    likelihood_task,
    ood,
    reconstruction,
)

TASKS = {
    "anomaly": anomaly.run,
    "chains": chains.run,
    "diagnostics": diagnostics.run,
    "fd_classifier": generation.run,
    "fid": fid_task.run,
    "likelihood": likelihood_task.run,
    "ood": ood.run,
    "reconstruction": reconstruction.run,
}

# Tasks that compare samples by their Fréchet distance, and the setting with their number.
JUDGED = {"chains": "long_chain_samples", "fd_classifier": "num_samples"}
