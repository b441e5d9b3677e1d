"""What tasks share: chunks of images for functions that are compiled for one size."""

import numpy as np

from ebm_jax import data
from ebm_jax.evaluation.context import images_of, reconstruction_chunks
from tests.evaluation.untrained import context_of


def test_a_chunk_beyond_the_end_repeats_the_last_example(tmp_path):
    context = context_of(tmp_path)
    examples = np.array([7, 2, 5])
    for start, size, expected in ((0, 2, [7, 2]), (1, 3, [2, 5, 5])):
        images, index = images_of(context, context.eval_set, examples, start, size)
        assert index.tolist() == expected and index.dtype == np.int32
        pixels = context.eval_set.fetch(np.array(expected))[0]
        np.testing.assert_array_equal(images, data.to_float(pixels, context.config.data.range))


def test_reconstructions_do_not_depend_on_the_chunks(tmp_path):
    found = {}
    for size, lengths in ((5, [5, 5, 2]), (7, [7, 5])):
        context = context_of(tmp_path, batch_size=size)
        chunks = list(reconstruction_chunks(context, context.eval_set, "test", 12))
        assert [len(images) for images, _ in chunks] == lengths
        found[size] = [np.concatenate(side) for side in zip(*chunks, strict=True)]
    for one, other in zip(*found.values(), strict=True):
        assert len(one) == 12
        np.testing.assert_allclose(one, other, atol=1e-6)
