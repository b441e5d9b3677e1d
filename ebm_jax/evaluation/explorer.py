"""Images for a page's latent explorer: base samples with one unit moved, as one sprite.

The layout is that of `reporting.explorer`.
"""

from collections.abc import Sequence

import numpy as np

from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.latents import Layers, decoded, flat, moved
from ebm_jax.reporting.grids import png_bytes, save_png, to_uint8

BASES = 8  # samples at most; fewer where their images take much space
_FEW = 4  # samples for whose sake large images are made smaller
_PLACES = np.linspace(-2.5, 2.5, 11, dtype=np.float32)  # standard deviations under p_β
_BYTES = 1_100_000  # of the sprite; the page's base64 makes a third more of them
_LEAST_SIDE = 32  # pixels below which an image is not made smaller
_FACTORS = (1, 2, 4, 8, 16)


def write_explorer(context: Context, file: str, bases: Layers, units: Sequence[np.ndarray]) -> dict:
    """Renders units of every layer of samples and writes the sprite into `context.folder`.

    Args:
      context: the checkpoint; its method has maps.
      file: the sprite's name.
      bases: u of the samples, [N, …] a layer, bottom layer first; the first ones are shown, as
        many as fit into about a megabyte.
      units: of each layer the indices to move, int [U_i].

    Returns:
      What `reporting.explorer` calls an explorer's description, for the task's JSON.
    """
    count = len(bases[0])
    first, side = _block(context, bases, 0, units)
    factors = [f for f in _FACTORS if f == 1 or _shrinks(side, f)]
    sizes = {f: len(png_bytes(_compact(_smaller(first, f)))) for f in factors}
    enough = [f for f in factors if sizes[f] * min(_FEW, count) <= _BYTES]
    factor = enough[0] if enough else factors[-1]
    count = int(np.clip(_BYTES // sizes[factor], 1, count))
    blocks = [first, *(_block(context, bases, b, units)[0] for b in range(1, count))]
    sprite = np.concatenate([_smaller(block, factor) for block in blocks], axis=1)
    save_png(context.folder / file, _compact(sprite))
    names = ["bottom", *[""] * (len(units) - 2), "top"] if len(units) > 1 else [""]
    own = [layer[:count] for layer in flat(bases)]
    return {
        "file": file,
        "tile": [size // factor for size in side],
        "places": _PLACES.tolist(),
        "layers": [
            {
                "title": f"Layer {i + 1}" + (f" ({name})" if name else ""),
                "units": chosen.tolist(),
                "values": own[i][:, chosen].tolist(),
            }
            for i, (chosen, name) in enumerate(zip(units, names, strict=True))
        ],
        "note": (
            f"Of each layer the {max(map(len, units))} units (all of smaller layers) that change "
            "sample 1 most, numbered from 0; in standard deviations of u-space, so that the layers "
            "below follow."
        ),
    }


def _block(context, bases, b, units) -> tuple[np.ndarray, tuple[int, int]]:
    """Sample b and its moved units, [(1 + ΣU) · h, P · w, 3] uint8, and (h, w)."""
    one = tuple(layer[b : b + 1] for layer in bases)
    parts = [one, *(moved(one, i, chosen, _PLACES) for i, chosen in enumerate(units))]
    u = tuple(np.concatenate(layer) for layer in zip(*parts, strict=True))
    pixels = to_uint8(decoded(context, u), tuple(context.config.data.range))
    columns, (height, width) = len(_PLACES), pixels.shape[1:3]
    unused = np.zeros((columns - 1, height, width, 3), np.uint8)
    tiles = np.concatenate([pixels[:1], unused, pixels[1:]])
    tiles = tiles.reshape(-1, columns, height, width, 3).swapaxes(1, 2)
    return tiles.reshape(-1, columns * width, 3), (height, width)


def _shrinks(side: tuple[int, int], factor: int) -> bool:
    return not any(size % factor for size in side) and min(side) // factor >= _LEAST_SIDE


def _smaller(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Means of squares of `factor` pixels a side."""
    if factor == 1:
        return pixels
    height, width, channels = pixels.shape
    squares = pixels.reshape(height // factor, factor, width // factor, factor, channels)
    return np.rint(squares.mean(axis=(1, 3))).astype(np.uint8)


def _compact(pixels: np.ndarray) -> np.ndarray:
    """[H, W] where all pixels [H, W, 3] are grey."""
    return pixels[..., 0] if (pixels == pixels[..., :1]).all() else pixels
