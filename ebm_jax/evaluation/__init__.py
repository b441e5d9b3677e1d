"""Evaluation tasks: each takes a Context and returns what its JSON holds."""

from ebm_jax.evaluation import chains, generation, reconstruction

TASKS = {
    "chains": chains.run,
    "fd_classifier": generation.run,
    "reconstruction": reconstruction.run,
}
