"""Evaluation tasks: each takes a Context and returns what its JSON holds."""

from ebm_jax.evaluation import chains, generation, reconstruction

TASKS = {
    "chains": chains.run,
    "fd_classifier": generation.run,
    "reconstruction": reconstruction.run,
}

# Tasks that compare samples by their Fréchet distance, and the setting with their number.
JUDGED = {"chains": "long_chain_samples", "fd_classifier": "num_samples"}
