"""Pictures while training: samples, reconstructions, energies of both phases."""

from typing import Any

import jax
import numpy as np

from ebm_jax import data, randomness
from ebm_jax.methods import InferenceState, Method
from ebm_jax.reporting.curves import plot_histograms
from ebm_jax.reporting.grids import image_grid, pair_grid
from ebm_jax.reporting.writers import MetricWriter

_SAMPLES = 64
_PAIRS = 32


def write_snapshot(
    writer: MetricWriter,
    config: Any,
    method: Method,
    state: InferenceState,
    dataset: Any,
    step: int,
    key: jax.Array,
) -> None:
    """Writes `samples/{prior,reconstruction,energy}_<step>.png`, from fixed noise and images.

    The last two need latents of an image, which not every method has.

    Args:
      writer: knows the run's folder.
      config: for the data's settings.
      method: with compiled functions.
      state: averaged parameters.
      dataset: images to reconstruct (the evaluation split).
      step: names the files.
      key: the run's base key.
    """
    value_range = tuple(config.data.range)
    key = randomness.stream(key, "snapshot")
    prior = method.sample(state, key, _SAMPLES, prior="ebm" if method.has_energy else "gaussian")
    batch = next(iter(data.eval_batches(dataset, config.data, _SAMPLES)))
    images, index = batch["image"], batch["index"]
    grids = {"prior": image_grid(np.asarray(prior.images), value_range=value_range)}
    if method.reconstruct is not None:
        restored = np.asarray(method.reconstruct(state, images, key, index))
        grids["reconstruction"] = pair_grid(
            images[:_PAIRS], restored[:_PAIRS], value_range=value_range
        )
    writer.write_images(step, grids)
    if method.has_energy and method.posterior is not None:
        latents = method.posterior(state, images, key, index)
        energies = {
            "posterior": np.asarray(method.energy(state, latents)),
            "prior chain": np.asarray(method.energy(state, prior.latents)),
        }
        path = writer.workdir / "samples" / f"energy_{step:08d}.png"
        plot_histograms(path, energies, xlabel="energy")
