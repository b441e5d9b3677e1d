"""The one interface between the loop and a method."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ebm_jax import randomness
from ebm_jax.errors import ConfigError
from ebm_jax.samplers import Info, normal_like
from ebm_jax.samplers.ais import AisRun


class TrainState(NamedTuple):
    """Everything training needs to go on, and nothing derived from it.

    Attributes:
      step: int32, updates tried so far (skipped ones count).
      params: {group: parameters}.
      opt_state: {group: optimiser state}.
      ema: like `params`, exponential moving average.
      extra: the method's own state (power-iteration vectors, banks, running statistics). What
        stands under "training" is left out of an InferenceState.
      rollbacks: int32, how often training was rolled back.
      skipped: int32, updates skipped in all.
      skipped_in_row: int32, updates skipped since the last good one.
    """

    step: jax.Array
    params: Any
    opt_state: Any
    ema: Any
    extra: Any
    rollbacks: jax.Array
    skipped: jax.Array
    skipped_in_row: jax.Array


class InferenceState(NamedTuple):
    """What sampling and scoring need: averaged parameters and the method's own state."""

    params: Any
    extra: Any


class Samples(NamedTuple):
    """Drawn images and how they came about.

    Attributes:
      images: [n, H, W, C] in the data's range or beyond it, not clipped.
      latents: the method's latents, leaves [n, ...].
      info: the chain's last Info [n], or None when no chain ran.
      trajectory: images along the chain [kept, n, H, W, C], or None.
      profile: Info of the kept steps, leaves [kept, n], or None.
      latent_trajectory: latents along the chain, leaves [kept, n, ...], or None.
    """

    images: jax.Array
    latents: Any
    info: Info | None
    trajectory: jax.Array | None
    profile: Info | None
    latent_trajectory: Any = None


class Evidence(NamedTuple):
    """What log Z and log p(x) are estimated with, as pure functions; `state` is an InferenceState.

    u is the latents' standard normal form, z = T_β(u): leaves [B, ...], one chain each. Chain i's
    randomness depends on the key and index[i] alone. With images [B, H, W, C] the target of the
    chains is the posterior and their integral Z · p(x); with None it is the EBM prior and Z.

    Attributes:
      tilt: (state, images or None, u) → [B], log p(x|z) + F(z), or F(z) alone.
      simulate: (state, u, key, index) → images drawn from p(x|z), not clipped to their range.
      log_weights: (state, images, key, index, num, start=0) → [num, B], the samples start …
        start + num − 1 of log p(x|z) + log p_β(z) + F(z) − log q(z|x) with z ~ q(z|x): importance
        weights of Z · p(x). None without an inference net.
      log_bin: log of an 8-bit grey value's width on the scale of p(x|z), per pixel and channel; 0
        where p(x|z) is a probability already.
      scale: what log p(x|z) is the log of, in words.
      tune: (state, images or None, key, index, betas [T + 1]) → step sizes [T] from a run of its
        own, started at N(0, I).
      forward: (state, images or None, key, index, betas, step_sizes) → AisRun from N(0, I).
      reverse: (state, images or None, u, key, index, betas, step_sizes) → AisRun from u back to
        N(0, I).
    """

    tilt: Callable[..., jax.Array]
    simulate: Callable[..., jax.Array]
    log_weights: Callable[..., jax.Array] | None
    log_bin: float
    scale: str
    tune: Callable[..., jax.Array]
    forward: Callable[..., AisRun]
    reverse: Callable[..., AisRun]


class LatentMaps(NamedTuple):
    """Between latents, their standard normal form and images; `state` is an InferenceState.

    Attributes:
      decode: (state, z) → images [B, H, W, C], the decoder's mean.
      to_z: (state, u) → z = T_β(u), leaves [B, ...], bottom layer first.
      to_u: (state, z) → u, its inverse.
    """

    decode: Callable[..., jax.Array]
    to_z: Callable[..., Any]
    to_u: Callable[..., Any]


class Control(NamedTuple):
    """Samples by attributes, of a method that couples them with its latents.

    `state` is an InferenceState; attributes are in the order of `data.attributes`.

    Attributes:
      request: (state, key, index [n], values int32 [n, A], guidance=1.0, kept=None, moved=None) →
        (images, latents) with these values, -1 where any will do; sample i depends on key and
        index[i] alone. `guidance` is the weight of log p(values|z). With `kept`, latents of other
        samples, only the layers `moved` (0 = bottom) are drawn, given the others' u.
      log_probs: (state, images, key, index) → (log p(y_a|z) [B, values of a], …), z of q.
    """

    request: Callable[..., tuple[jax.Array, Any]]
    log_probs: Callable[..., tuple[jax.Array, ...]]


class Method(NamedTuple):
    """Pure functions, built from a config by `ebm_jax.methods.build`.

    A batch is {'image': [B, H, W, C] in `data.range`, 'label': [B], 'index': [B] global example
    index}; image i's randomness depends on the key and its index alone. `state` is a TrainState in
    `init` and `update`, an InferenceState elsewhere.

    Attributes:
      name: as in `method.name`.
      init: (key, batch) → TrainState; of a method that builds on another run (key, batch,
        first=None), where `first` is that run's InferenceState.
      update: (state, batch, key) → (state, metrics): one step on one device; gradients and metrics
        are averaged over the device axis.
      sample: (state, key, n, *, start=0, prior='ebm', num_steps=None, keep_every=0,
        keep_images=True) → Samples; chain i is that of example index start + i. prior='gaussian'
        leaves the energies out; `num_steps` replaces the config's; keep_images=False decodes the
        last latents only.
      posterior: (state, images, key, index) → latents; None where images have no latents.
      reconstruct: (state, images, key, index) → images; None likewise.
      log_score: (state, images, key, index, k=0) → [B] un-normalised log density, L^{>k}, or
        Hat EBM's −H/T; None where there is none.
      energy: (state, latents) → [B], the learned energy −F, or H; None where none is learned.
      has_energy: whether prior='ebm' differs from prior='gaussian'.
      advice: what to change when training diverges, as the end of a sentence.
      log_terms: (state, images, key, index, k=0) → {name: [B]}, the terms whose sum is `log_score`.
      layer_terms: (state, images, key, index) → {"layer_1": f_1(z_1) [B], …}, z of the posterior;
        None where no layer has an energy of its own. A coupling's marginal is not among them.
      evidence: what log Z and log p(x) are estimated with, or None where there is no such density.
      maps: between latents and images, or None where latents are no tuple of layers.
      control: samples by attributes, or None.
      recalibrate: (state, key, num_batches) → the InferenceState whose statistics of batch
        normalisation are those of samples of the Gaussian prior; None where there are none, or
        where energies have learned with those of training.
      chain_detail: what a protocol adds to the settings of the EBM prior's chain.
      one_target: whether samples are the ends of one chain on one density.
      adds_residual: whether `Samples.latents` are {"z", "y"} with images G(z) + y.
      builds_on: names of the settings that must be as in the run of `train.first_stage`; empty
        where a method builds on none.
      needs_first_stage: whether it must build on one.
    """

    name: str
    init: Callable[..., TrainState]
    update: Callable[..., tuple[TrainState, dict[str, jax.Array]]]
    sample: Callable[..., Samples]
    posterior: Callable[..., Any] | None
    reconstruct: Callable[..., jax.Array] | None
    log_score: Callable[..., jax.Array] | None
    energy: Callable[..., jax.Array] | None
    has_energy: bool
    advice: str
    log_terms: Callable[..., dict[str, jax.Array]] | None = None
    layer_terms: Callable[..., dict[str, jax.Array]] | None = None
    evidence: Evidence | None = None
    maps: LatentMaps | None = None
    control: Control | None = None
    recalibrate: Callable[..., InferenceState] | None = None
    chain_detail: str = ""
    one_target: bool = True
    adds_residual: bool = False
    builds_on: tuple[str, ...] = ()
    needs_first_stage: bool = False


def check_images(config: Any, batch: dict[str, jax.Array]) -> None:
    """Raises ConfigError unless a batch's images have the config's size and channels."""
    expected = (config.data.image_size,) * 2 + (config.data.channels,)
    if batch["image"].shape[1:] != expected:
        raise ConfigError(f"images are {batch['image'].shape[1:]}, the config says {expected}.")


def first_state(params: Any, opt_state: Any, extra: Any) -> TrainState:
    """The state before any step."""
    zero = jnp.zeros((), jnp.int32)
    return TrainState(zero, params, opt_state, params, extra, zero, zero, zero)


def initial_latents(keys: jax.Array, name: str, shape: tuple[int, ...]) -> jax.Array:
    """z ~ N(0, I) of every example, [B, *shape], by the stream `name` of its key."""
    return normal_like(randomness.streams(keys, name), jnp.zeros((keys.shape[0], *shape)))


def inference_state(state: TrainState) -> InferenceState:
    """The averaged parameters: what evaluation and the export use."""
    extra = {name: value for name, value in state.extra.items() if name != "training"}
    return InferenceState(params=state.ema, extra=extra)


def compiled(method: Method) -> Method:
    """The same method with its inference functions jit-compiled, each shape once."""
    return method._replace(
        sample=jax.jit(
            method.sample,
            static_argnums=2,
            static_argnames=("prior", "num_steps", "keep_every", "keep_images"),
        ),
        posterior=method.posterior and jax.jit(method.posterior),
        reconstruct=method.reconstruct and jax.jit(method.reconstruct),
        log_score=method.log_score and jax.jit(method.log_score, static_argnames="k"),
        energy=method.energy and jax.jit(method.energy),
        log_terms=method.log_terms and jax.jit(method.log_terms, static_argnames="k"),
        layer_terms=method.layer_terms and jax.jit(method.layer_terms),
        evidence=method.evidence and _compiled_evidence(method.evidence),
        maps=method.maps and LatentMaps(*map(jax.jit, method.maps)),
        recalibrate=method.recalibrate and jax.jit(method.recalibrate, static_argnums=2),
        control=method.control
        and Control(
            jax.jit(method.control.request, static_argnames="moved"),
            jax.jit(method.control.log_probs),
        ),
    )


def _compiled_evidence(evidence: Evidence) -> Evidence:
    weights = evidence.log_weights
    return evidence._replace(
        tilt=jax.jit(evidence.tilt),
        simulate=jax.jit(evidence.simulate),
        log_weights=weights and jax.jit(weights, static_argnames="num"),
        tune=jax.jit(evidence.tune),
        forward=jax.jit(evidence.forward),
        reverse=jax.jit(evidence.reverse),
    )
