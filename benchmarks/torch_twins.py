"""PyTorch twins of what is timed here: the same nets, targets, steps and updates.

They are written as the papers' own code is: `autograd.grad` inside a Python loop over the steps.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

SIGMA = 0.3  # of the likelihood


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers with leaky ReLU 0.2 between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
        layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


class JointModel(nn.Module):
    """The CIFAR-10 model of the joint latent EBM (CVPR 2023), two layers of latents."""

    def __init__(self):
        super().__init__()
        leaky = nn.LeakyReLU(0.2)
        self.generator = nn.Sequential(
            nn.ConvTranspose2d(128, 1024, 8, 1, 0),
            leaky,
            nn.ConvTranspose2d(1024, 512, 4, 2, 1),
            leaky,
            nn.ConvTranspose2d(512, 256, 4, 2, 1),
            leaky,
            nn.ConvTranspose2d(256, 3, 3, 1, 1),
            nn.Tanh(),
        )
        self.prior = mlp((100, 200, 200, 200, 200, 256))
        self.energies = nn.ModuleList([mlp((128, 200, 200, 200, 1)), mlp((100, 100, 100, 1))])

    def log_prior(self, z1, z2):
        """log of the unnormalised EBM prior [B]."""
        mean, log_std = self.prior(z2).chunk(2, dim=1)
        std = log_std.exp() + 0.01
        conditional = -0.5 * ((z1 - mean) / std).square() - std.log()
        tilt = self.energies[0](z1) + self.energies[1](z2)
        return conditional.sum(1) - 0.5 * z2.square().sum(1) + tilt[:, 0]

    def log_likelihood(self, x, z1):
        error = self.generator(z1[:, :, None, None]) - x
        return -0.5 * error.square().flatten(1).sum(1) / SIGMA**2

    def log_joint(self, x, z1, z2):
        return self.log_likelihood(x, z1) + self.log_prior(z1, z2)


def langevin(log_prob: Callable, position: tuple, steps: int, step_size: float) -> tuple:
    """z ← z + s²/2 ∇log p + s ξ on a tuple of latents."""
    position = tuple(z.clone().requires_grad_() for z in position)
    for _ in range(steps):
        gradients = torch.autograd.grad(log_prob(*position).sum(), position)
        position = tuple(
            (z.detach() + 0.5 * step_size**2 * g + step_size * torch.randn_like(z)).requires_grad_()
            for z, g in zip(position, gradients, strict=True)
        )
    return tuple(z.detach() for z in position)


def training_step(model: JointModel, optimisers: Sequence[torch.optim.Optimizer], x: torch.Tensor):
    """One step of maximum likelihood: 40 posterior and 60 prior steps, then one Adam step each."""
    batch = x.shape[0]
    noise = lambda: (torch.randn(batch, 128), torch.randn(batch, 100))  # noqa: E731
    positive = langevin(lambda *z: model.log_joint(x, *z), noise(), 40, 0.1)
    negative = langevin(model.log_prior, noise(), 60, 0.4)
    for optimiser in optimisers:
        optimiser.zero_grad()
    loss = (model.log_prior(*negative) - model.log_joint(x, *positive)).mean()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()
    return loss


def optimisers_of(model: JointModel) -> list[torch.optim.Optimizer]:
    return [
        torch.optim.Adam([*model.generator.parameters(), *model.prior.parameters()], 1e-4),
        torch.optim.Adam(model.energies.parameters(), 2e-5),
    ]


def load_dense(layers: nn.Sequential, parameters: dict) -> None:
    """Copies Flax's `Dense_i` into the Linear layers, so that both compute the same function."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    for number, layer in enumerate(linear):
        dense = parameters[f"Dense_{number}"]
        layer.weight.data = torch.tensor(np.asarray(dense["kernel"]).T.copy())
        layer.bias.data = torch.tensor(np.asarray(dense["bias"]))


def load_generator(generator: nn.Sequential, parameters: dict) -> None:
    """Copies `ConvGenerator`'s parameters; kernels of transposed convolutions are turned round."""
    layers = [layer for layer in generator if isinstance(layer, nn.ConvTranspose2d)]
    names = [f"ConvTranspose_{i}" for i in range(len(layers) - 1)] + ["Conv_0"]
    for layer, name in zip(layers, names, strict=True):
        kernel = np.asarray(parameters[name]["kernel"])[::-1, ::-1]  # [kh, kw, C_in, C_out]
        layer.weight.data = torch.tensor(kernel.transpose(2, 3, 0, 1).copy())
        layer.bias.data = torch.tensor(np.asarray(parameters[name]["bias"]))


def load(model: JointModel, parameters: dict) -> None:
    """Copies the parameters of our model of `configs/cifar10_joint.py`."""
    load_generator(model.generator, parameters["generator"])
    load_dense(model.prior, parameters["prior"]["layer_1"])
    for number, energy in enumerate(model.energies):
        load_dense(energy, parameters["energy"][f"layer_{number + 1}"])
