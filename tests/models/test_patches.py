"""Images in patches and back."""

import numpy as np

from ebm_jax.models.patches import from_patches, to_patches


def test_a_position_holds_a_square_of_the_image():
    x = np.random.default_rng(0).normal(size=(2, 8, 4, 3)).astype(np.float32)
    found = np.asarray(to_patches(x, 2))
    assert found.shape == (2, 4, 2, 12)
    np.testing.assert_array_equal(found[1, 3, 1].reshape(2, 2, 3), x[1, 6:8, 2:4])
    np.testing.assert_array_equal(from_patches(found, 2), x)
