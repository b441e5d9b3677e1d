"""An NVAE-style deep hierarchical VAE as one module: a tower of groups, and its encoder.

Latents are maps, one per group, bottom first; the groups of one scale have one side, and the next
scale up has half of it. The decoder's tower is the prior too: below each group its state gives the
prior of the next (Vahdat and Kautz, NeurIPS 2020).
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from ebm_jax.nn.conv import Conv
from ebm_jax.nn.nvae_cells import DecoderCell, EncoderCell

_LEAST_CHANNELS = 8  # next to the image


class Scales(nn.Module):
    """Sizes that tower and encoder share.

    Attributes:
      latent_channels: of each group's maps, bottom first (L).
      scales: groups of each scale, finest first; their sum is L.
      width: channels at the finest scale of latents; twice as many at each coarser one, half as
        many, and at least 8, at each finer one up to the image.
      side: of the finest latents, pixels.
      halvings: from the image to the finest latents.
      cells: residual cells before each group.
      floor: of every σ but that of the top group's prior, which is 1.
      train, axis_name: of batch normalisation, see `residual.UpBlock`.
      remat: whether gradients compute the inside of every cell again instead of keeping it.
      dtype: of the computation; parameters and results are float32.
    """

    latent_channels: tuple[int, ...]
    scales: tuple[int, ...]
    width: int
    side: int
    halvings: int
    cells: int = 1
    floor: float = 0.01
    train: bool = False
    axis_name: str | None = None
    remat: bool = False
    dtype: jnp.dtype = jnp.float32

    def scale_of(self, i: int) -> int:
        """The scale of group i, 0 = finest."""
        for scale, groups in enumerate(self.scales):
            if i < groups:
                return scale
            i -= groups
        raise IndexError(i)

    def channels_of(self, scale: int) -> int:
        """Channels at a scale; negative ones are finer than the latents."""
        if scale >= 0:
            return self.width * 2**scale
        return max(self.width >> -scale, _LEAST_CHANNELS)

    def starts_scale(self, i: int) -> bool:
        """Whether the group above i is of a coarser scale."""
        above = i + 1
        return above < len(self.latent_channels) and self.scale_of(above) != self.scale_of(i)

    def residual_cell(self, kind: type[nn.Module], channels: int, **settings) -> nn.Module:
        """A cell with this many channels, whose inside is computed again where `remat` is on."""
        build = nn.remat(kind) if self.remat else kind
        shared = dict(train=self.train, axis_name=self.axis_name, dtype=self.dtype)
        return build(channels, **settings, **shared)

    def conv(self, features: int, size: int) -> Conv:
        """A convolution of stride 1 with a kernel of size × size."""
        return Conv(features, (size, size), dtype=self.dtype)


class Tower(Scales):
    """The generator and the prior: from a learned constant down to the image's raw parameters.

    Attributes:
      out_channels: raw channels the likelihood needs.
    """

    out_channels: int = 1

    def setup(self):
        top = len(self.latent_channels) - 1
        side = self.side >> self.scale_of(top)
        shape = (side, side, self.channels_of(self.scale_of(top)))
        self.constant = self.param("constant", nn.initializers.normal(1.0), shape)
        self.combine = [
            self.conv(self.channels_of(self.scale_of(i)), 1)
            for i in range(len(self.latent_channels))
        ]
        self.heads = [self.conv(2 * size, 1) for size in self.latent_channels[:-1]]
        self.between = [self._cells_before(i) for i in range(top)]
        after = []
        for k in range(1, self.halvings + 1):
            after += self._cells(self.channels_of(-k), up=True)
        self.after = after
        self.image = self.conv(self.out_channels, 3)

    def _cells_before(self, i):
        return self._cells(self.channels_of(self.scale_of(i)), up=self.starts_scale(i))

    def _cells(self, channels, *, up):
        first = [self.residual_cell(DecoderCell, channels, up=True)] if up else []
        return first + [self.residual_cell(DecoderCell, channels) for _ in range(self.cells)]

    def start(self, top: jax.Array) -> jax.Array:
        """z_L → the state below it."""
        constant = self.constant.astype(self.dtype)[None]
        state = jnp.broadcast_to(constant, (top.shape[0], *self.constant.shape))
        return self.absorb(len(self.latent_channels) - 1, state, top)

    def absorb(self, i: int, state: jax.Array, z_i: jax.Array) -> jax.Array:
        """The state below group i, from the one above it and z_i."""
        state = self.combine[i](jnp.concatenate([state, z_i.astype(state.dtype)], axis=-1))
        for cell in self.between[i - 1] if i else ():
            state = cell(state)
        return state

    def prior(self, i: int, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(μ, log σ) of group i, before they are clamped."""
        return _halves(self.heads[i](nn.elu(state)))

    def finish(self, state: jax.Array) -> jax.Array:
        """The image's raw parameters from the state below group 0."""
        for cell in self.after:
            state = cell(state)
        return self.image(nn.elu(state)).astype(jnp.float32)


class Encoder(Scales):
    """The inference net: maps of the image at each group, and the posterior's residuals there."""

    def setup(self):
        layers = range(len(self.latent_channels))
        self.stem = self.conv(self.channels_of(-self.halvings), 3)
        before = []
        for k in reversed(range(self.halvings)):
            before += [
                self.residual_cell(EncoderCell, self.channels_of(-k - 1)),
                self.residual_cell(EncoderCell, self.channels_of(-k), down=True),
            ]
        self.before = before
        self.groups = [self._cells(i) for i in layers]
        self.merge = [self.conv(self.channels_of(self.scale_of(i)), 1) for i in layers[:-1]]
        self.heads = [self.conv(2 * size, 3) for size in self.latent_channels]

    def _cells(self, i):
        channels = self.channels_of(self.scale_of(i))
        halves = bool(i) and self.starts_scale(i - 1)
        first = [self.residual_cell(EncoderCell, channels, down=True)] if halves else []
        return first + [self.residual_cell(EncoderCell, channels) for _ in range(self.cells)]

    def taps(self, x: jax.Array) -> list[jax.Array]:
        """Maps of the images [B, H, W, C], one per group, bottom first."""
        h = self.stem(x)
        for cell in self.before:
            h = cell(h)
        taps = []
        for cells in self.groups:
            for cell in cells:
                h = cell(h)
            taps.append(h)
        return taps

    def residual(
        self, i: int, tap: jax.Array, state: jax.Array | None
    ) -> tuple[jax.Array, jax.Array]:
        """(Δμ, Δlog σ) of group i, from its map and the tower's state (None at the top)."""
        if state is not None:
            tap = tap + self.merge[i](state)
        return _halves(self.heads[i](nn.elu(tap)))


class Group(NamedTuple):
    """One group of latents [B, h, h, c]: z = mean + std · noise, q = N(mean, std²), its prior."""

    z: jax.Array
    mean: jax.Array
    std: jax.Array
    mean_p: jax.Array
    std_p: jax.Array


class DeepVAE(nn.Module):
    """Tower and encoder, with the passes that go through both."""

    tower: Tower
    encoder: Encoder

    def __call__(self, x: jax.Array, noise: tuple[jax.Array, ...]) -> tuple[jax.Array, list[Group]]:
        """(raw parameters of x̂, the groups as `infer` has them)."""
        groups, state = self._down(x, noise)
        return self.tower.finish(state), groups

    def infer(self, x: jax.Array, noise: tuple[jax.Array, ...]) -> list[Group]:
        """The groups, bottom first."""
        return self._down(x, noise)[0]

    def _down(self, x, noise):
        taps, groups, state = self.encoder.taps(x), [], None
        for i in reversed(range(len(taps))):
            if state is None:
                residual = self.encoder.residual(i, taps[i], None)
                mean_p, std_p = jnp.zeros_like(noise[i]), jnp.ones_like(noise[i])
                mean, std = self._clamped(*residual)
            else:
                raw = self.tower.prior(i, state)
                residual = self.encoder.residual(i, taps[i], state)
                mean_p, std_p = self._clamped(*raw)
                mean, std = self._clamped(raw[0] + residual[0], raw[1] + residual[1])
            z = mean + std * noise[i]
            groups.insert(0, Group(z, mean, std, mean_p, std_p))
            state = self.tower.start(z) if state is None else self.tower.absorb(i, state, z)
        return groups, state

    def decode(self, z: tuple[jax.Array, ...]) -> jax.Array:
        """z → raw parameters of the image."""
        state = self.tower.start(z[-1])
        for i in reversed(range(len(z) - 1)):
            state = self.tower.absorb(i, state, z[i])
        return self.tower.finish(state)

    def draw(self, noise: tuple[jax.Array, ...]) -> jax.Array:
        """Raw parameters of the image of z_i = μ_i + σ_i noise_i, a sample of the prior."""
        state = self.tower.start(noise[-1])
        for i in reversed(range(len(noise) - 1)):
            mean, std = self.conditional(i, state)
            state = self.tower.absorb(i, state, mean + std * noise[i])
        return self.tower.finish(state)

    def start(self, top: jax.Array) -> jax.Array:
        """z_L → the tower's state below it."""
        return self.tower.start(top)

    def absorb(self, i: int, state: jax.Array, z_i: jax.Array) -> jax.Array:
        """The tower's state below group i."""
        return self.tower.absorb(i, state, z_i)

    def conditional(self, i: int, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(mean, std) of group i's prior."""
        return self._clamped(*self.tower.prior(i, state))

    def _clamped(self, mean, log_std):
        return clamped(mean, log_std, self.tower.floor)


def clamped(mean: jax.Array, log_std: jax.Array, floor: float) -> tuple[jax.Array, jax.Array]:
    """(μ, σ): μ and log σ are kept within ±5 by 5 tanh(·/5), and σ = exp(log σ) + floor."""
    return 5 * jnp.tanh(mean / 5), jnp.exp(5 * jnp.tanh(log_std / 5)) + floor


def _halves(x):
    return jnp.split(x.astype(jnp.float32), 2, axis=-1)
