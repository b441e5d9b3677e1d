"""PyTorch twin of Hat EBM's energy for CIFAR-10 and of its residual's chain (NeurIPS 2022)."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

_WIDTH = 256


class Block(nn.Module):
    """ReLU–conv3–ReLU–conv3(–pool) + (conv1(–pool)), no ReLU before the image's."""

    def __init__(self, inputs, down, first):
        super().__init__()
        self.down, self.first = down, first
        self.conv_0 = nn.Conv2d(inputs, _WIDTH, 3, 1, 1)
        self.conv_1 = nn.Conv2d(_WIDTH, _WIDTH, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, _WIDTH, 1) if down else None

    def forward(self, x):
        h = x if self.first else functional.relu(x)
        h = self.conv_1(functional.relu(self.conv_0(h)))
        if not self.down:
            return x + h
        return self.shortcut(functional.avg_pool2d(x, 2)) + functional.avg_pool2d(h, 2)


class Energy(nn.Module):
    """H: images [B, 3, 32, 32] → [B]."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            Block(3 if i == 0 else _WIDTH, down=i < 2, first=i == 0) for i in range(4)
        )
        self.last = nn.Linear(_WIDTH, 1, bias=False)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.last(functional.relu(x).mean((2, 3)))[:, 0]


def load(energy: Energy, params) -> None:
    """Copies the Flax parameters of `ResNetEnergy`."""
    with torch.no_grad():
        for i, block in enumerate(energy.blocks):
            for name, values in params[f"block_{i}"].items():
                layer = getattr(block, name)
                layer.weight.copy_(torch.tensor(np.transpose(values["kernel"], (3, 2, 0, 1))))
                layer.bias.copy_(torch.tensor(np.asarray(values["bias"])))
        energy.last.weight.copy_(torch.tensor(np.asarray(params["Dense_0"]["kernel"]).T))


def chain(energy, image, steps, step_size, temperature, clip, noise_scale=1.0):
    """y ← y − clip[ε²/2 ∇_y H(image + y)/T] + ε ξ from y = 0, as the released code has it."""
    y = torch.zeros_like(image)
    for _ in range(steps):
        y.requires_grad_()
        (gradient,) = torch.autograd.grad(energy(image + y).sum() / temperature, y)
        gradient = 0.5 * step_size**2 * gradient
        norm = gradient.flatten(1).norm(dim=1).clamp_min(1e-12)
        gradient = gradient * (clip / norm).clamp_max(1.0)[:, None, None, None]
        y = y.detach() - gradient + noise_scale * step_size * torch.randn_like(y)
    return y
