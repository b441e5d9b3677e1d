"""PyTorch twin of the ladder model's hierarchical sampling nets (ICCV 2023, L = 4).

The energy's kernels are normalised once per update and not in every Langevin step, which makes the
twin faster than a `spectral_norm` hook would.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.torch_twins import langevin

PRECISION = 3  # 1/2σ² of the likelihood
SIZES = (2, 2, 2, 10)  # latents, bottom first
_UP, _DOWN = (32, 64, 64), (32, 64, 64, 256)  # channels of generator and inference net
_WIDTH = 256


class Generator(nn.Module):
    """Maps of 4, 8 and 16 pixels, to each of which a layer's latents are added."""

    def __init__(self):
        super().__init__()
        self.top = nn.ModuleList([nn.Linear(SIZES[3], _WIDTH), nn.Linear(_WIDTH, 16 * _UP[2])])
        sides = (16, 8, 4)
        self.enter = nn.ModuleList(
            nn.Linear(size, side**2 * width)
            for size, side, width in zip(SIZES[:3], sides, _UP, strict=True)
        )
        below = (3, *_UP[:2])
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(width, out, 4, 2, 1, bias=False)
            for width, out in zip(_UP, below, strict=True)
        )

    def forward(self, z):
        h = z[3]
        for layer in self.top:
            h = functional.leaky_relu(layer(h), 0.2)
        h = h.view(-1, _UP[2], 4, 4)
        for i in (2, 1, 0):
            entering = functional.leaky_relu(self.enter[i](z[i]), 0.2).view(h.shape)
            h = self.up[i](h + entering)
            h = functional.leaky_relu(h, 0.2) if i else h
        return torch.tanh(h)


class Inference(nn.Module):
    """A pair of convolutions per layer, each feeding its heads and the next pair."""

    def __init__(self):
        super().__init__()
        channels = (3, *_DOWN)
        self.down = nn.ModuleList(
            nn.Conv2d(channels[i], channels[i + 1], 4, 2, 1, bias=False) for i in range(4)
        )
        self.same = nn.ModuleList(nn.Conv2d(w, w, 3, 1, 1, bias=False) for w in _DOWN[:3])
        self.top = nn.Linear(4 * _DOWN[3], _WIDTH)
        found = (256 * _DOWN[0], 64 * _DOWN[1], 16 * _DOWN[2], _WIDTH)
        self.mean, self.log_variance = (
            nn.ModuleList(nn.Linear(n, size) for n, size in zip(found, SIZES, strict=True))
            for _ in range(2)
        )

    def forward(self, x):
        heads = []
        for i in range(4):
            x = functional.leaky_relu(self.down[i](x), 0.01)
            if i < 3:
                x = functional.leaky_relu(self.same[i](x), 0.01)
            found = x.flatten(1)
            if i == 3:
                found = functional.leaky_relu(self.top(found), 0.01)
            heads.append((self.mean[i](found), self.log_variance[i](found)))
        return heads


class Energy(nn.Module):
    """f of the concatenated latents, with kernels of spectral norm 1."""

    def __init__(self):
        super().__init__()
        sizes = (sum(SIZES), 50, 50, 50, 50, 1)
        self.layers = nn.ModuleList(
            nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.vectors = [functional.normalize(torch.randn(b), dim=0) for b in sizes[1:]]

    def normalised(self):
        """One step of power iteration, then the kernels over their largest singular values."""
        kernels = []
        for i, layer in enumerate(self.layers):
            with torch.no_grad():
                right = functional.normalize(layer.weight.T @ self.vectors[i], dim=0)
                self.vectors[i] = functional.normalize(layer.weight @ right, dim=0)
            kernels.append(layer.weight / (self.vectors[i] @ layer.weight @ right))
        return kernels

    def forward(self, z, kernels):
        h = torch.cat(z, dim=1)
        for i, (kernel, layer) in enumerate(zip(kernels, self.layers, strict=True)):
            h = functional.linear(h, kernel, layer.bias)
            h = functional.leaky_relu(h, 0.2) if i < len(self.layers) - 1 else h
        return h[:, 0]


class LadderModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator, self.inference, self.energy = Generator(), Inference(), Energy()


def optimisers_of(model: LadderModel) -> list[torch.optim.Optimizer]:
    """One Adam for generator and inference net, one for the energy."""
    both = [*model.generator.parameters(), *model.inference.parameters()]
    return [
        torch.optim.Adam(both, 3e-4, betas=(0.0, 0.9), weight_decay=5e-4),
        torch.optim.Adam(model.energy.parameters(), 2e-6, betas=(0.0, 0.9)),
    ]


def training_step(model: LadderModel, optimisers, x: torch.Tensor, steps: int, step_size: float):
    """One joint update: the bound for generator and inference net, then the energy."""
    batch = x.shape[0]
    kernels = model.energy.normalised()
    fixed = [kernel.detach() for kernel in kernels]

    def log_prior(*z):
        return model.energy(z, fixed) - 0.5 * sum(layer.square().sum(1) for layer in z)

    start = tuple(torch.randn(batch, size) for size in SIZES)
    negative = langevin(log_prior, start, steps, step_size)
    heads = model.inference(x)
    z = tuple(mean + (0.5 * v).exp() * torch.randn_like(mean) for mean, v in heads)
    kl = sum(0.5 * (mean.square() + v.exp() - 1 - v).sum(1) for mean, v in heads)
    error = (model.generator(z) - x).square().flatten(1).sum(1)
    loss = (PRECISION * error + kl - model.energy(z, fixed)).mean()
    positive = tuple(layer.detach() for layer in z)
    contrast = (model.energy(negative, kernels) - model.energy(positive, kernels)).mean()
    for optimiser in optimisers:
        optimiser.zero_grad()
    energy = [p.requires_grad_(False) for p in model.energy.parameters()]
    loss.backward()  # the energy learns from the contrast alone
    for parameter in energy:
        parameter.requires_grad_(True)
    contrast.backward()
    for optimiser in optimisers:
        optimiser.step()
    return loss


def _dense(layer: nn.Linear, found: dict, order=None) -> None:
    """Copies a Dense; `order` = (H, W, C) of a map whose pixels PyTorch orders channels first."""
    kernel, bias = np.asarray(found["kernel"]), np.asarray(found["bias"])
    if order and order[0] == "out":
        h, w, c = order[1:]
        kernel = kernel.reshape(-1, h, w, c).transpose(0, 3, 1, 2).reshape(kernel.shape)
        bias = bias.reshape(h, w, c).transpose(2, 0, 1).ravel()
    if order and order[0] == "in":
        h, w, c = order[1:]
        kernel = kernel.reshape(h, w, c, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)
    layer.weight.data = torch.tensor(kernel.T.copy())
    layer.bias.data = torch.tensor(bias.copy())


def load(model: LadderModel, params: dict) -> None:
    """Copies the parameters of our model of `configs/svhn_cropped_ladder4.py`."""
    found = params["generator"]
    dense = iter(range(5))
    _dense(model.generator.top[0], found[f"Dense_{next(dense)}"])
    _dense(model.generator.top[1], found[f"Dense_{next(dense)}"], ("out", 4, 4, _UP[2]))
    for number, i in enumerate((2, 1, 0)):
        side = (16, 8, 4)[i]
        _dense(model.generator.enter[i], found[f"Dense_{next(dense)}"], ("out", side, side, _UP[i]))
        kernel = np.asarray(found[f"ConvTranspose_{number}"]["kernel"])[::-1, ::-1]
        model.generator.up[i].weight.data = torch.tensor(kernel.transpose(2, 3, 0, 1).copy())
    found = params["inference"]
    convolutions = iter(range(7))
    sides = (16, 8, 4)
    dense = iter(range(9))
    for i in range(4):
        for layers in (model.inference.down, model.inference.same)[: 2 if i < 3 else 1]:
            kernel = np.asarray(found[f"Conv_{next(convolutions)}"]["kernel"])
            layers[i].weight.data = torch.tensor(kernel.transpose(3, 2, 0, 1).copy())
        order = ("in", sides[i], sides[i], _DOWN[i]) if i < 3 else None
        if i == 3:
            top = found[f"Dense_{next(dense)}"]
            _dense(model.inference.top, top, ("in", 2, 2, _DOWN[3]))
        _dense(model.inference.mean[i], found[f"Dense_{next(dense)}"], order)
        _dense(model.inference.log_variance[i], found[f"Dense_{next(dense)}"], order)
    for number, layer in enumerate(model.energy.layers):
        _dense(layer, params["energy"][f"Dense_{number}"])
