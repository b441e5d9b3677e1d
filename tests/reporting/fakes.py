"""Workdirs with known contents for the tests of reports and results."""

from pathlib import Path

import numpy as np

from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.grids import image_grid, save_png
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


PLACES = [-1.0, 0.0, 1.0]
SIDE = 4  # pixels of an explorer's images


def grey(base, row, column):
    """The grey value of an explorer's image; row 0, column 0 is the base sample."""
    return 100 * base + 20 * row + 5 * column


def add_explorer(workdir, task="moves", **changes):
    """A task whose explorer has two bases and two layers, of units 3 and 7, and of unit 0."""
    tiles = [
        [grey(base, row, column) for base in range(2) for column in range(len(PLACES))]
        for row in range(4)
    ]
    sprite = np.kron(np.array(tiles, np.uint8), np.ones((SIDE, SIDE), np.uint8))
    save_png(Path(workdir) / "eval" / f"{task}_sprite.png", sprite)
    explorer = {
        "file": f"{task}_sprite.png",
        "tile": [SIDE, SIDE],
        "places": PLACES,
        "layers": [
            {"title": "Layer 1 (bottom)", "units": [3, 7], "values": [[0.4, -3.0], [0.5, 0.6]]},
            {"title": "Layer 2 (top)", "units": [0], "values": [[0.0], [-0.7]]},
        ],
        "note": "What <is> shown.",
    }
    content = {"task": task, "metric": "change", "results": {"layer_1": 0.5}, "step": 100}
    write_json(Path(workdir) / "eval" / f"{task}.json", content | {"explorer": explorer | changes})
