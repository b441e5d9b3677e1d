"""The error of reconstructions, and when it tells that nothing was learned."""

import warnings

import numpy as np
import pytest

from ebm_jax import data
from ebm_jax.evaluation import reconstruction
from tests.evaluation.untrained import context_of


def of(tmp_path, restore):
    """The task's result where `restore` makes reconstructions of images."""
    context = context_of(tmp_path, num_reconstructions=150)  # in several batches

    def reconstruct(state, images, key, index):
        return restore(images)

    method = context.method._replace(reconstruct=reconstruct)
    return reconstruction.run(context._replace(method=method))


def test_the_error_is_of_pixels_in_0_1(tmp_path):
    with warnings.catch_warnings(action="error"):
        found = of(tmp_path, lambda images: images + 0.2)  # a tenth of [-1, 1]
    assert found["results"]["reconstruction"] == pytest.approx(0.01, rel=1e-4)
    assert found["num_samples"] == 150
    assert (tmp_path / "reconstruction.png").stat().st_size > 0


@pytest.mark.parametrize("share, told", [(0.9, False), (1.0, True), (np.nan, True)])
def test_what_is_no_better_than_one_image_for_all_is_told(tmp_path, share, told):
    pixels, _ = context_of(tmp_path).eval_set.fetch(np.arange(150))
    images = data.to_float(pixels, (-1.0, 1.0))
    mean = images.mean(0)
    expected = float(np.mean(((images - mean) / 2) ** 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        # 1 + 1e-4: what the mean's own rounding cannot hide
        found = of(tmp_path, lambda x: x + (1 + 1e-4) * share * (mean - x))
    said = [str(w.message) for w in caught if "has not learned these images" in str(w.message)]
    assert bool(said) == told
    if told and share == 1.0:
        assert found["results"]["reconstruction"] == pytest.approx(expected, rel=1e-3)
        assert f"in the place of each would have {expected:.3g}:" in said[0]
        assert "train for longer, or lower joint_learning_rate" in said[0]
