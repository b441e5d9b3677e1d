"""pytorch-fid's state dict as our file: batch norm folded, names of the 2015 graph.

The names are pytorch-fid's (github.com/mseitzer/pytorch-fid, src/pytorch_fid/inception.py), whose
file is the public port of the 2015-12-05 weights.
"""

from collections.abc import Mapping

import numpy as np

from ebm_jax.errors import DataError
from ebm_jax.evaluation.inception.network import TAPS, shapes

BATCH_NORM_EPSILON = 1e-3

_STEM = {
    "conv": "Conv2d_1a_3x3",
    "conv_1": "Conv2d_2a_3x3",
    "conv_2": "Conv2d_2b_3x3",
    "conv_3": "Conv2d_3b_1x1",
    "conv_4": "Conv2d_4a_3x3",
}


def _chain(tower: str, branch: str, length: int) -> dict[str, str]:
    """Names of a tower of `length` convolutions; pytorch-fid counts them from 1."""
    return {f"{tower}_conv" + (f"_{i}" if i else ""): f"{branch}_{i + 1}" for i in range(length)}


_POOLED = {"tower_2_conv": "branch_pool"}
_BLOCK_35 = {"conv": "branch1x1", **_chain("tower", "branch5x5", 2)} | _POOLED
_BLOCK_35 |= _chain("tower_1", "branch3x3dbl", 3)
_REDUCTION_35 = {"conv": "branch3x3", **_chain("tower", "branch3x3dbl", 3)}
_BLOCK_17 = {"conv": "branch1x1", **_chain("tower", "branch7x7", 3)} | _POOLED
_BLOCK_17 |= _chain("tower_1", "branch7x7dbl", 5)
_REDUCTION_17 = _chain("tower", "branch3x3", 2) | _chain("tower_1", "branch7x7x3", 4)
_BLOCK_8 = {
    "conv": "branch1x1",
    "tower_conv": "branch3x3_1",
    "tower_mixed_conv": "branch3x3_2a",
    "tower_mixed_conv_1": "branch3x3_2b",
    "tower_1_conv": "branch3x3dbl_1",
    "tower_1_conv_1": "branch3x3dbl_2",
    "tower_1_mixed_conv": "branch3x3dbl_3a",
    "tower_1_mixed_conv_1": "branch3x3dbl_3b",
} | _POOLED
_BLOCKS = {
    "mixed": ("Mixed_5b", _BLOCK_35),
    "mixed_1": ("Mixed_5c", _BLOCK_35),
    "mixed_2": ("Mixed_5d", _BLOCK_35),
    "mixed_3": ("Mixed_6a", _REDUCTION_35),
    "mixed_4": ("Mixed_6b", _BLOCK_17),
    "mixed_5": ("Mixed_6c", _BLOCK_17),
    "mixed_6": ("Mixed_6d", _BLOCK_17),
    "mixed_7": ("Mixed_6e", _BLOCK_17),
    "mixed_8": ("Mixed_7a", _REDUCTION_17),
    "mixed_9": ("Mixed_7b", _BLOCK_8),
    "mixed_10": ("Mixed_7c", _BLOCK_8),
}
# {our layer: pytorch-fid's module}, the softmax layer apart.
MODULES = _STEM | {
    f"{block}_{layer}": f"{module}.{branch}"
    for block, (module, layers) in _BLOCKS.items()
    for layer, branch in layers.items()
}


def convert(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Folds batch norm into the convolutions and renames.

    With γ, β, μ, v of the batch norm behind a convolution w: w γ / √(v + 0.001) is the kernel and
    β − μ γ / √(v + 0.001) the bias, in float64 before rounding to float32.

    Args:
      tensors: pytorch-fid's state dict.

    Returns:
      {`<layer>/kernel` HWIO or `<layer>/bias`: float32}, complete.

    Raises:
      DataError: a tensor is missing or of the wrong shape.
    """
    found = {}
    for layer, module in MODULES.items():
        weight, scale, shift, mean, variance = (
            _tensor(tensors, f"{module}.{name}")
            for name in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
        )
        if weight.ndim != 4 or scale.shape != weight.shape[:1]:
            raise DataError(
                f"{module}.conv.weight has shape {weight.shape} and its batch norm {scale.shape}; "
                "give the file of pytorch-fid."
            )
        factor = scale / np.sqrt(variance + BATCH_NORM_EPSILON)  # [C_out]
        kernel = weight.transpose(2, 3, 1, 0) * factor.reshape(1, 1, 1, -1)  # OIHW → HWIO
        found[f"{layer}/kernel"] = kernel.astype(np.float32)
        found[f"{layer}/bias"] = (shift - mean * factor).astype(np.float32)
    found["softmax/kernel"] = _tensor(tensors, "fc.weight").T.astype(np.float32)
    for name, shape in shapes(list(TAPS)).items():
        if found[name].shape != shape:
            raise DataError(
                f"{name} has shape {found[name].shape} instead of {shape}; give the file of "
                "pytorch-fid, since other Inception-v3 networks differ."
            )
    return found


def _tensor(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise DataError(
            f"the PyTorch file has no tensor {name} (but {', '.join(list(tensors)[:3])}, …); give "
            "the file of pytorch-fid."
        )
    return np.asarray(tensors[name], np.float64)
