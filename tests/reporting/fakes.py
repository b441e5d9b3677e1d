"""Workdirs with known contents for the tests of reports and results."""

from pathlib import Path

import numpy as np

from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.grids import image_grid
from ebm_jax.reporting.writers import MetricWriter

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def config(seed=1, num_steps=100, **sampler):
    return {
        "seed": seed,
        "method": {"name": "joint"},
        "data": {"name": "digits", "batch_size": 16},
        "sampler": {"prior": {"num_steps": 20, "step_size": 0.4} | sampler},
        "train": {"num_steps": num_steps},
        "eval": {"tasks": ["fd_classifier"]},
    }


def evaluation(**changes):
    return {
        "task": "fd_classifier",
        "metric": "fd_classifier",
        "step": 100,
        "seed": 1,
        "dataset": "digits",
        "protocol": "500 samples against the test images.",
        "num_samples": 500,
        "settings": {"a": {"b": 1}},
        "seconds": 1.5,
        "gaussian_prior": 20.0,
        "ebm_prior": 5.0,
        "reconstruction": None,
    } | changes


def make_run(workdir, settings=None, result=None, steps=100, minutes=3.5, **info) -> Path:
    """A run with metrics up to `steps`, two prior grids, and the evaluation `result` if any."""
    workdir = Path(workdir)
    settings = config() if settings is None else settings
    seed = settings["seed"]
    facts = {
        "config": settings,
        "command": f"python -m ebm_jax.main --config configs/x.py --workdir /home/me/runs/s{seed}",
        "versions": {"jax": "9.8.7"},
        "git_commit": COMMIT,
        "hardware": "1 x Fast",
    }
    write_json(workdir / "config.json", facts | info)
    with MetricWriter(workdir, -1) as writer:
        for step in range(10, steps + 1, 10):
            writer.write_scalars(
                step,
                {
                    "loss/total": 100.0 / step,
                    "energy/positive": -1.0,
                    "energy/negative": 1.0,
                    "lr": 0.1,
                    "time/elapsed_minutes": minutes * step / steps,
                },
            )
        for step in (10, steps):
            writer.write_images(step, {"prior": image_grid(np.full((4, 8, 8, 1), step / 1000))})
    if result is not None:
        write_json(workdir / "eval" / "fd_classifier.json", result)
    return workdir
