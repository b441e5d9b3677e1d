"""Inception-v3 of 2015-12-05, the network that FID, KID and IS are defined on.

`layers` and `network` are the graph, `resizing` its input, `weights` finds and checks the file,
`extraction` turns images into features on all devices, `torch_file` and `conversion` read the
public PyTorch file without PyTorch.
"""

from ebm_jax.evaluation.inception.extraction import Extractor, open_extractor
from ebm_jax.evaluation.inception.network import TAPS

__all__ = ["Extractor", "TAPS", "open_extractor"]
