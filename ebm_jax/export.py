"""Inference exports: averaged parameters and the config, in two files, and how to use them."""

import json
import math
import numbers
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.serialization
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from ebm_jax import methods, stored_config
from ebm_jax.data.attributes import configured, requested
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.methods import InferenceState, Samples
from ebm_jax.reporting.files import write_bytes
from ebm_jax.stored_config import PARAMETERS

_CONFIG = "config.json"
_HALF = jnp.dtype(jnp.float16)
_FAR = 10  # times the data's largest magnitude: no noise around images, but pixels of 0 to 16


class LoadedModel(NamedTuple):
    """A trained model as pure, compiled functions.

    Attributes:
      config: the experiment's config.
      step: training steps behind the parameters.
      state: InferenceState.
      sample: (key, n, **options of Method.sample) → Samples; images in the data's range, and
        beyond it where a chain moves the image itself.
      posterior: (images [B, H, W, C], key) → latents.
      reconstruct: (images, key) → images.
      log_score: (images, key, k=0) → [B] un-normalised log density L^{>k}.
      request: (key, n, attributes, guidance=None, start=0) → (images [n, H, W, C], latents) with
        these attributes, {name: value} of those in `config.data.attributes`, as `--mode sample`
        draws them (ICML 2024); guidance, the weight of log p(y|z), is by default `eval.guidance`.
        Sample i is that of number start + i. ConfigError: a name or value that there is not, or
        a negative guidance; too high a one ends in images that are not finite.

    Keys are of `jax.random.key`, or two numbers as of `jax.random.PRNGKey`.

    ConfigError, of `sample` too: n is no positive whole number, start a negative one, or `key`
    is no key; of what takes images: they are no finite floats of the model's shape, or lie far out
    of the data's range. What the method has not raises a ConfigError when it is called.
    """

    config: ml_collections.ConfigDict
    step: int
    state: InferenceState
    sample: Callable[..., Samples]
    posterior: Callable[..., Any]
    reconstruct: Callable[..., jax.Array]
    log_score: Callable[..., jax.Array]
    request: Callable[..., tuple[jax.Array, Any]]

    def __repr__(self) -> str:
        data = self.config.data
        return (
            f"LoadedModel({self.config.method.name}, {data.name}, {data.image_size} × "
            f"{data.image_size} × {data.channels}, {self.step} steps)"
        )


def write_export(directory: str | Path, config: Any, step: int, state: InferenceState) -> None:
    """Writes `config.json` and `params.msgpack`, each replaced in one move.

    Args:
      directory: created if absent.
      config: the experiment's ConfigDict.
      step: training steps behind the parameters.
      state: host or device arrays.

    Raises:
      OSError: the folder cannot be written.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"config": config.to_dict(), "step": step}, indent=2)
    for name, content in (
        (PARAMETERS, _serialised(state)),
        (_CONFIG, text.encode()),
    ):
        write_bytes(directory / name, content)


def halved(state: InferenceState) -> bytes:
    """A `params.msgpack` of half the size: float16 numbers, which `load` makes float32 again.

    Args:
      state: of a loaded model.

    Returns:
      The file's content.

    Raises:
      ConfigError: a number is too large for half precision.
    """
    rounded = jax.tree.map(lambda x: x.astype(_HALF) if x.dtype == jnp.float32 else x, state)
    for (path, leaf), before in zip(
        jax.tree_util.tree_leaves_with_path(rounded), jax.tree.leaves(state), strict=True
    ):
        if not jnp.array_equal(jnp.isfinite(leaf), jnp.isfinite(before)):
            raise ConfigError(
                f"{jax.tree_util.keystr(path, simple=True, separator='/')} holds "
                f"{float(jnp.abs(before).max()):g}, too large for half precision; keep it single."
            )
    return _serialised(rounded)


def _serialised(state) -> bytes:
    return flax.serialization.msgpack_serialize(jax.device_get(state._asdict()))


def _restored(content: bytes) -> InferenceState:
    def single(x):
        return jnp.asarray(x, jnp.float32 if x.dtype == _HALF else None)

    return InferenceState(**jax.tree.map(single, flax.serialization.msgpack_restore(content)))


def _check_shapes(state: InferenceState, method: methods.Method, config: Any) -> None:
    """Raises ValueError unless the arrays are those of the method with this config."""
    size, channels = config.data.image_size, config.data.channels
    batch = {
        "image": jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32),
        "label": jax.ShapeDtypeStruct((1,), jnp.int32),
        "index": jax.ShapeDtypeStruct((1,), jnp.int32),
    }
    if named := configured(config.data):
        batch["attributes"] = jax.ShapeDtypeStruct((1, len(named)), jnp.int32)
    made = jax.eval_shape(method.init, jax.random.key(0), batch)
    expected, found = (_shapes(tree) for tree in (methods.inference_state(made), state))
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise ValueError(
                f"{name} is {found.get(name, 'absent')} and by its config.json "
                f"{expected.get(name, 'absent')}"
            )


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(p, simple=True, separator="/"): leaf.shape for p, leaf in leaves}


def _check_numbers(n, start) -> None:
    for name, number, least in (("n", n, 1), ("start", start, 0)):
        whole = isinstance(number, numbers.Integral) and not isinstance(number, bool)
        if not (whole and number >= least):
            raise ConfigError(
                f"{name} is {number!r}; it must be a whole number of {least} or more."
            )


def _checked_key(key: Any) -> jax.Array:
    """The key, of the type that `jax.random.key` makes."""
    kind = key.dtype if isinstance(key, jax.Array | np.ndarray) else None
    if kind == np.uint32 and key.shape == (2,):
        return jax.random.wrap_key_data(key)
    if kind is None or not jnp.issubdtype(kind, jax.dtypes.prng_key):
        raise ConfigError(f"the key is {key!r}; give one as of jax.random.key(0).")
    if key.shape:
        raise ConfigError(f"the key is an array of keys {list(key.shape)}; give one of them.")
    return key


def _check_images(images: jax.Array, data: Any) -> None:
    shape = (data.image_size, data.image_size, data.channels)
    if images.shape[1:] != shape or not jnp.issubdtype(images.dtype, jnp.floating):
        raise ConfigError(
            f"images are {images.dtype} {list(images.shape)}; they must be floats "
            f"[n, {', '.join(map(str, shape))}] in [{data.range[0]:g}, {data.range[1]:g}]."
        )
    largest = jnp.abs(images).max(initial=0)
    if isinstance(largest, jax.core.Tracer):  # in a caller's jit or grad: values are not known
        return
    if not largest <= _FAR * max(map(abs, data.range)):
        raise ConfigError(
            f"images have values of up to ±{float(largest):g}; they must be finite and about in "
            f"[{data.range[0]:g}, {data.range[1]:g}]."
        )


def load(directory: str | Path) -> LoadedModel:
    """Loads an export.

    Args:
      directory: holds `config.json` and `params.msgpack`, or is the folder of a finished run, which
        has them in `export/`.

    Returns:
      LoadedModel.

    Raises:
      ConfigError: `directory` is no path.
      DataError: the export is missing or unreadable.
    """
    if not isinstance(directory, str | Path):
        raise ConfigError(f"the export's folder is {directory!r}; give a path.")
    try:
        directory = Path(directory).expanduser()
        inner = directory / "export"
        if not stored_config.is_export(directory) and stored_config.is_export(inner):
            directory = inner
        description = json.loads((directory / _CONFIG).read_text())
        state = _restored((directory / PARAMETERS).read_bytes())
        config = stored_config.read(directory)
        step = int(description["step"])
        built = methods.build(config)
        _check_shapes(state, built, config)
        method = methods.compiled(built)
    except FileNotFoundError as error:
        raise DataError(
            f"there is no export in '{directory}' ({Path(error.filename).name} is missing); give "
            "the export/ folder of a finished run."
        ) from error
    except Exception as error:
        raise DataError(
            f"the export in '{directory}' cannot be read ({type(error).__name__}: {error}); take "
            "it again from where it came, or run the training command, which resumes and exports."
        ) from error

    def numbered(name, words):
        function = getattr(method, name)

        def call(images, key, **options):
            if function is None:
                raise ConfigError(f"method '{method.name}' has no {words}, so no `{name}`.")
            images = jnp.asarray(images)
            _check_images(images, config.data)
            index = jnp.arange(images.shape[0])
            return function(state, images, _checked_key(key), index, **options)

        return call

    def sample(key, n, **options):
        _check_numbers(n, options.get("start", 0))
        return method.sample(state, _checked_key(key), n, **options)

    def request(key, n, attributes, guidance=None, start=0):
        if method.control is None:
            raise ConfigError(
                "the model knows no attributes, so no `request`; take one of the *_control configs."
            )
        _check_numbers(n, start)
        key = _checked_key(key)
        values = requested(configured(config.data), attributes, "the request")
        guidance = config.eval.guidance if guidance is None else guidance
        if not 0 <= guidance < math.inf:
            raise ConfigError(f"guidance is {guidance}; it must be a number of 0 or more.")
        rows = jnp.broadcast_to(values, (n, len(values)))
        return method.control.request(state, key, start + jnp.arange(n), rows, guidance)

    return LoadedModel(
        config=config,
        step=step,
        state=state,
        sample=sample,
        posterior=numbered("posterior", "latents of an image"),
        reconstruct=numbered("reconstruct", "latents of an image"),
        log_score=numbered("log_score", "density of an image"),
        request=request,
    )
