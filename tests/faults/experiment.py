"""A small experiment with room for a fault: `--config tests/faults/experiment.py[:fault]`.

`nan=30-34` makes these batches no numbers. `gate=30@FOLDER` makes the file `waiting` in the folder
when batch 30 is asked for, and waits for a file `open` there before it is given.
"""

import re
import time
from pathlib import Path

import numpy as np

from configs import digits_vae
from ebm_jax import data


def get_config(fault=""):
    if nan := re.fullmatch(r"nan=(\d+)-(\d+)", fault):
        first, last = map(int, nan.groups())
        _change_batches(lambda batch, k: _spoil(batch) if first <= k <= last else None)
    elif gate := re.fullmatch(r"gate=(\d+)@(.+)", fault):
        folder = Path(gate[2])
        _change_batches(lambda _, k: _wait(folder) if k == int(gate[1]) else None)
    elif fault:
        raise ValueError(f"there is no fault '{fault}'")
    c = digits_vae.get_config("quick")  # what is quickest to compile
    c.data.batch_size = 16
    c.model.generator.hidden = c.model.inference.hidden = (16,)
    c.model.latent_sizes = (4,)
    c.train.num_steps = c.train.image_every = 60
    c.train.log_every, c.train.checkpoint_every = 5, 10
    c.eval.tasks = ()
    return c


def _change_batches(change):
    made = data.make_batch

    def make_batch(dataset, data_config, seed, k, *share):
        batch = made(dataset, data_config, seed, k, *share)
        change(batch, k)
        return batch

    data.make_batch = make_batch


def _spoil(batch):
    batch["image"] = np.full_like(batch["image"], np.nan)


def _wait(folder):
    (folder / "waiting").touch()
    while not (folder / "open").exists():
        time.sleep(0.01)
