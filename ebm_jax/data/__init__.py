"""Data: any source of images as batches that are a pure function of the seed and the step.

`sources/` gives raw examples, `decoding` and `transform` make them uint8 [H, W, C], `dataset`
serves them by index, `order` says which indices form batch k, `pipeline` makes the batches and
`prefetching` makes them ahead of time. Nothing here imports JAX or TensorFlow.
"""

from ebm_jax.data import attributes
from ebm_jax.data.dataset import Dataset, open_dataset
from ebm_jax.data.order import batch_indices
from ebm_jax.data.pipeline import Batch, eval_batches, fill_in, make_batch
from ebm_jax.data.prefetching import prefetch
from ebm_jax.data.transform import to_float, to_uint8

__all__ = [
    "Batch",
    "Dataset",
    "attributes",
    "batch_indices",
    "eval_batches",
    "fill_in",
    "make_batch",
    "open_dataset",
    "prefetch",
    "to_float",
    "to_uint8",
]
