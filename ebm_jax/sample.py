"""--mode sample: images of a trained model, from its folder or its export, as npz and as a grid."""

import contextlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections
import numpy as np

from ebm_jax import compatibility, data, methods, provenance, randomness, stored_config
from ebm_jax import export as exports
from ebm_jax import workdir as workdirs
from ebm_jax.data.attributes import ANY
from ebm_jax.errors import ConfigError
from ebm_jax.evaluate import open_context
from ebm_jax.evaluation.chunks import padded
from ebm_jax.evaluation.context import Context, recalibrated
from ebm_jax.evaluation.control import moved_layers
from ebm_jax.inference import on_all_devices
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.grids import save_grid, save_png, strip
from ebm_jax.reporting.tables import flatten

_OF_CHAINS = ("level_shares", "request_steps", "guidance")  # of config.eval
_CHAINS = 8  # rows of the strip
_SEEDS = 2**32  # what a key is folded with has 32 bits


class _Model(NamedTuple):
    """A trained model and what of it is wanted.

    Attributes:
      context: its config, method, state and step.
      wanted: `config.sample`.
      frozen: layers that all images share, 0 = bottom.
      values: of the attributes asked for, int32 [A]; None where none is.
    """

    context: Context
    wanted: Any
    frozen: tuple[int, ...]
    values: np.ndarray | None

    @property
    def moved(self) -> tuple[int, ...]:
        """The layers that are drawn for each image."""
        layers = range(len(self.context.config.model.latent_sizes))
        return tuple(i for i in layers if i not in self.frozen)

    def key(self, name: str) -> jax.Array:
        key = jax.random.key(self.context.config.seed)
        return jax.random.fold_in(randomness.stream(key, f"sample/{name}"), self.wanted.seed)

    def draw(self, name: str, count: int, **options) -> Any:
        """Samples of the prior, `keep_images` and the like as in `Method.sample`.

        A model without an energy has the base prior alone, whatever `sample.prior` is.
        """
        method, state = self.context.method, self.context.state
        prior = self.wanted.prior if method.has_energy else "gaussian"
        return method.sample(state, self.key(name), count, prior=prior, **options)


class Drawn(NamedTuple):
    """Images of a model.

    Attributes:
      images: [n, H, W, C] in the data's range or beyond it.
      latents: those they were decoded from, leaves [n, ...].
      chains: images along the first chains [chains, kept, H, W, C], the last their samples; or
        None.
      step: training steps behind the parameters.
    """

    images: np.ndarray
    latents: Any
    chains: np.ndarray | None
    step: int


def draw(config: Any, folder: str | Path) -> Drawn:
    """What `config.sample` says, of the model in a folder.

    With `sample.frozen` all images share these layers of one sample, the first; the others are
    drawn, in u-space, so that layers below follow. With `sample.attributes` chains are led to
    these values (ICML 2024); frozen layers then stay as they are along the chains.

    Args:
      config: the experiment's ConfigDict; what follows from the data is filled in.
      folder: a run with a checkpoint, or an export.

    Returns:
      `sample.num_images` images; image k is a function of the model, `sample.seed` and k.

    Raises:
      ConfigError: there is no such model in the folder, it cannot do what is asked, or its images
        are not finite.
      DataError: the export, or the data set of a run, cannot be read.
    """
    return _drawn(_open(config, Path(folder).expanduser()))


def drawn_with(config: Mapping[str, Any]) -> dict[str, Any]:
    """What samples depend on beside parameters and numerics, complete for this version.

    Args:
      config: a config as a dict; `method`, `sampler`, `eval` and the method's own group suffice.

    Returns:
      Setting → value as JSON has it; `sampler.prior.num_steps` is that of a sample's chain.
    """
    config = ml_collections.ConfigDict(config)
    compatibility.complete(config)
    steps = methods.prior_steps(config)
    found = json.loads(json.dumps(config.to_dict()))  # tuples as lists
    method = found["method"]["name"]
    groups = {
        "sampler": {"prior": found["sampler"]["prior"] | {"num_steps": steps}},
        "eval": {key: found["eval"][key] for key in _OF_CHAINS if key in found["eval"]},
        method: found.get(method, {}),
    }
    return flatten(groups, ".")


def _drawn(model: _Model) -> Drawn:
    source, count = _source(model), model.wanted.num_images
    size = min(model.context.config.eval.batch_size, count)
    chunks = []
    for start in range(0, count, size):
        chunk = jax.device_get(source(padded(start, size, count)))
        chunks.append(jax.tree.map(lambda x, start=start: x[: count - start], chunk))
    images, latents = jax.tree.map(lambda *parts: np.concatenate(parts), *chunks)
    bad = int((~np.isfinite(images)).any((1, 2, 3)).sum())
    if bad:
        raise ConfigError(
            f"{bad} of {count} images are not finite: the chain's steps are too long for the "
            f"target, or the model has diverged; lower {_what_to_lower(model)}."
        )
    chains = _chains(model) if model.wanted.strip else None
    return Drawn(images, latents, chains, model.context.step)


def _what_to_lower(model: _Model) -> str:
    if model.values is not None:
        return "eval.guidance, or sampler.prior.step_size"
    return "sampler.prior.step_size, or try sample.prior 'gaussian'"


def sample(config: Any, folder: str | Path) -> list[str]:
    """`draw`, written as samples.npz with samples.json (what they are), a grid and maybe a strip.

    They go to `sample.folder`, or where that is empty to `samples/` in the folder, in the place of
    earlier ones.

    Args:
      config: the experiment's ConfigDict; the grid has `eval.grid` of the images.
      folder: a run with a checkpoint, or an export.

    Returns:
      What was written, in sentences.

    Raises:
      ConfigError, DataError: as `draw`; or they cannot be written there.
    """
    folder = Path(folder).expanduser()
    model = _open(config, folder)
    out = workdirs.output(config.sample.folder or folder / "samples")
    made = [path for path in (out, *out.parents) if not path.exists()]
    out = workdirs.prepare(out, "sample.folder")
    try:
        drawn = _drawn(model)
    except BaseException:
        with contextlib.suppress(OSError):  # others may have put something there
            for path in made:
                path.rmdir()
        raise
    replaced = (out / "samples.npz").exists()
    if replaced:
        for name in ("samples.json", "strip.png"):
            (out / name).unlink(missing_ok=True)
    value_range = tuple(config.data.range)
    np.savez_compressed(out / "samples.npz", images=data.to_uint8(drawn.images, value_range))
    write_json(
        out / "samples.json",
        {
            "model": str(folder.resolve()),
            "step": drawn.step,
            "seed": config.seed,
            "compute_dtype": config.compute_dtype,
            "recalibration_batches": config.eval.recalibration_batches,
            "sample": config.sample.to_dict(),
            "drawn_with": drawn_with(config.to_dict()),
        },
    )
    save_grid(out / "samples.png", drawn.images[: config.eval.grid], value_range=value_range)
    lines = [
        f"{len(drawn.images)} samples of step {drawn.step}: {out / 'samples.npz'}, "
        f"{out / 'samples.png'}{', in the place of earlier ones' if replaced else ''}"
    ]
    if drawn.chains is not None:
        save_png(out / "strip.png", strip(drawn.chains, value_range=value_range))
        lines.append(f"{len(drawn.chains)} chains, a row each: {out / 'strip.png'}")
    return lines


def _open(config, folder) -> _Model:
    wanted = config.sample
    _check(wanted)
    if stored_config.is_export(folder):
        context = _of_export(config, folder)
    elif not any((folder / name).is_dir() for name in ("checkpoints", "export")):
        raise ConfigError(
            f"there is neither a run's checkpoint in '{folder}' nor an export's "
            f"{stored_config.PARAMETERS}; train first, or give the --workdir of either."
        )
    else:
        context = recalibrated(open_context(config, folder))
    frozen = _frozen(context, wanted)
    values = _values(context, wanted)
    if values is not None:
        _check_reachable(context, wanted, frozen, values)
    if wanted.strip and (frozen or values is not None):
        raise ConfigError(
            f"sample.strip is {wanted.strip}, but chains are shown of free samples alone; leave "
            "out sample.frozen and sample.attributes."
        )
    return _Model(context, wanted, frozen, values)


def _of_export(config, folder) -> Context:
    loaded = exports.load(folder)
    stored = stored_config.read(folder)
    for name in ("num_examples", "attribute_edges"):  # what follows from the data
        if stored.data.get(name) is not None:
            config.data[name] = stored.data[name]
    provenance.check_same_run(config, folder)
    method = on_all_devices(methods.build(config))
    return Context(config, method, loaded.state, loaded.step, folder, None, None, lambda: None)


def _source(model: _Model) -> Callable[[np.ndarray], tuple[jax.Array, Any]]:
    """A function: numbers of images, consecutive and maybe the last one again [n] → (images, z)."""
    context, method = model.context, model.context.method
    if model.values is not None:
        return _asked(model)

    def free(rows):
        found = model.draw("samples", len(rows), start=int(rows[0]))
        return found.images, found.latents

    maps, state = method.maps, context.state
    first = maps.to_u(state, model.draw("samples", 1).latents) if model.frozen else None

    def with_frozen(rows):
        u = list(maps.to_u(state, free(rows)[1]))
        for i in model.frozen:
            u[i] = np.broadcast_to(first[i], u[i].shape)
        z = maps.to_z(state, tuple(u))
        return maps.decode(state, z), z

    return with_frozen if model.frozen else free


def _asked(model: _Model):
    """Images with the attributes asked for; with frozen layers, those of one free sample."""
    context, control = model.context, model.context.method.control
    key, guidance = model.key("samples"), context.config.eval.guidance
    base = model.draw("samples", 1).latents if model.frozen else None

    def asked(rows):
        values = np.broadcast_to(model.values, (len(rows), len(model.values)))
        kept, moved = None, None
        if base is not None:
            kept = tuple(np.broadcast_to(z, (len(rows), *z.shape[1:])) for z in base)
            moved = model.moved
        index = rows.astype(np.int32)
        return control.request(context.state, key, index, values, guidance, kept, moved)

    return asked


def _chains(model: _Model) -> np.ndarray:
    """Images along chains, [chains, kept, H, W, C]."""
    config, count = model.context.config, min(_CHAINS, model.wanted.num_images)
    steps = methods.prior_steps(config)
    every, rest = divmod(steps, model.wanted.strip)
    if not every or rest:
        fitting = [k for k in range(1, steps + 1) if steps % k == 0]
        raise ConfigError(
            f"sample.strip is {model.wanted.strip}, which does not divide the chain's {steps} "
            f"steps; use one of: {', '.join(map(str, fitting))}."
        )
    chain = model.draw("samples", count, keep_every=every)
    if chain.trajectory is None:
        raise ConfigError(
            "sample.strip is set, but samples of this prior are drawn without a chain; use 0."
        )
    return np.moveaxis(np.asarray(chain.trajectory), 0, 1)


def _check(wanted):
    if not (isinstance(wanted.num_images, int) and wanted.num_images > 0):
        raise ConfigError(
            f"sample.num_images is {wanted.num_images}; it must be a positive whole number."
        )
    if wanted.prior not in ("ebm", "gaussian"):
        raise ConfigError(f"sample.prior is '{wanted.prior}'; use 'ebm' or 'gaussian'.")
    for name in ("strip", "seed"):
        if wanted[name] < 0:
            raise ConfigError(f"sample.{name} is {wanted[name]}; it must not be negative.")
    workdirs.check_no_bucket(wanted.folder, "sample.folder")
    if not wanted.seed < _SEEDS:
        raise ConfigError(f"sample.seed is {wanted.seed}; use a number below {_SEEDS}.")


def _frozen(context, wanted) -> tuple[int, ...]:
    if not wanted.frozen:
        return ()
    if context.method.maps is None:
        raise ConfigError(
            f"sample.frozen is {wanted.frozen}, but method '{context.method.name}' has no layers "
            "of latents; leave it out."
        )
    total = len(context.config.model.latent_sizes)
    layers = tuple(sorted(set(wanted.frozen)))
    if not all(isinstance(i, int) and 1 <= i <= total for i in layers) or len(layers) == total:
        raise ConfigError(
            f"sample.frozen is {wanted.frozen}; name some, not all, of the layers 1 (bottom) to "
            f"{total}."
        )
    return tuple(i - 1 for i in layers)


def _values(context, wanted) -> np.ndarray | None:
    """`sample.attributes` in the order of `data.attributes`."""
    if not wanted.attributes:
        return None
    known = data.attributes.configured(context.config.data)
    if context.method.control is None:
        raise ConfigError(
            f"sample.attributes is {wanted.attributes}, but the model knows no attributes; take "
            "one of the *_control configs, or leave it out."
        )
    if wanted.prior != "ebm":
        raise ConfigError(
            f"sample.prior is '{wanted.prior}' beside sample.attributes, which lead chains of the "
            "EBM prior; use 'ebm'."
        )
    return data.attributes.requested(known, wanted.attributes, "sample.attributes")


def _check_reachable(context, wanted, frozen, values) -> None:
    """Refuses a request that no layer left to move knows of."""
    known = data.attributes.configured(context.config.data)
    for a, layers in moved_layers(context.config).items():
        if values[a] != ANY and set(layers) <= set(frozen):
            told = ", ".join(str(i + 1) for i in layers)
            raise ConfigError(
                f"sample.frozen is {wanted.frozen}, but {known[a][0]}, which is asked for, is "
                f"coupled with layers {told} alone; leave one of them free, or do not ask for it."
            )
