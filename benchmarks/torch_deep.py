"""PyTorch twin of the deep model's Langevin chains in u-space (CVPR 2023, two stages).

Tower, energies and chain as functions of the Flax parameters.
"""

import numpy as np
import torch
from torch.nn import functional


def tensors(tree):
    """A pytree of Flax parameters as tensors, kernels as PyTorch's: OIHW and [outputs, inputs]."""
    if isinstance(tree, dict):
        return {name: tensors(leaf) for name, leaf in tree.items()}
    leaf = np.asarray(tree)
    order = {4: (3, 2, 0, 1), 2: (1, 0)}.get(leaf.ndim, tuple(range(leaf.ndim)))
    return torch.tensor(np.ascontiguousarray(leaf.transpose(order)))


class Density:
    """(u_1, u_2, …) → F(T_β(u)) − ½‖u‖², [B], of maps [B, c, h, w], bottom first."""

    def __init__(self, params, floor: float):
        """Of the Flax parameters by group; every σ is `floor` or more."""
        params = tensors(params)
        self.tower, self.statistics = params["generator"], params["statistics"]["tower"]
        self.energy, self.floor = params["energy"], floor

    def __call__(self, *u):
        z = self.to_z(u)
        tilt = sum(self._energy(self.energy[f"layer_{i + 1}"], z_i) for i, z_i in enumerate(z))
        return tilt - 0.5 * sum((u_i**2).flatten(1).sum(1) for u_i in u)

    def to_z(self, u):
        """T_β: maps of every group → those of z."""
        top = len(u) - 1
        constant = self.tower["constant"].permute(2, 0, 1)
        state, z = constant.expand(len(u[0]), *constant.shape), (u[top],)
        for i in range(top, 0, -1):
            joined = torch.cat([state, z[0]], dim=1)
            state = _conv(self.tower[f"combine_{i}"], joined)
            k = 0
            while (name := f"between_{i - 1}_{k}") in self.tower:
                state = _cell(self.tower[name], self.statistics[name], state)
                k += 1
            head = _conv(self.tower[f"heads_{i - 1}"], functional.elu(state))
            mean, log_std = (5 * torch.tanh(half / 5) for half in head.chunk(2, dim=1))
            z = (mean + (torch.exp(log_std) + self.floor) * u[i - 1], *z)
        return z

    @staticmethod
    def _energy(params, x):
        conv = params["Conv_0"]
        h = functional.conv2d(x, conv["kernel"], conv["bias"], stride=2, padding=1)
        h = functional.leaky_relu(h, 0.2).permute(0, 2, 3, 1).flatten(1)
        for name in ("Dense_0", "Dense_1"):
            layer = params["MLP_0"][name]
            h = functional.linear(h, layer["kernel"], layer["bias"])
            h = functional.leaky_relu(h, 0.2) if name == "Dense_0" else h
        return h[:, 0]


def _cell(params, statistics, x):
    """`nvae_cells.DecoderCell`; it doubles the side where its shortcut changes the channels."""
    if "shortcut" in params:
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    def normal(name, h):
        moved, learned = statistics[name], params[name]
        settings = learned["scale"], learned["bias"], False, 0.0, 1e-5
        return functional.batch_norm(h, moved["mean"], moved["var"], *settings)

    h = functional.silu(normal("norm_1", _conv(params["expand"], normal("norm_0", x))))
    h = functional.silu(normal("norm_2", _conv(params["depthwise"], h, groups=h.shape[1])))
    h = normal("norm_3", _conv(params["reduce"], h))
    squeeze, excite = params["squeeze"], params["excite"]
    gate = functional.linear(h.mean((2, 3)), squeeze["kernel"], squeeze["bias"])
    gate = functional.linear(functional.relu(gate), excite["kernel"], excite["bias"])
    skip = _conv(params["shortcut"], x) if "shortcut" in params else x
    return skip + 0.1 * h * torch.sigmoid(gate)[:, :, None, None]


def _conv(params, x, groups=1):
    kernel = params["kernel"]
    return functional.conv2d(x, kernel, params.get("bias"), 1, kernel.shape[-1] // 2, 1, groups)
