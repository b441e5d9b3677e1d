"""A page's latent explorer: sliders over images that a task has rendered beforehand.

A task's JSON describes one under the key `explorer`:

    file: a PNG in eval/, the sprite: of each base sample a block, side by side; in its first row
      the sample itself, then a row per unit (of the first layer, then of the next …), in which
      one image stands for each place of the unit
    tile: [height, width] of an image in the sprite, in pixels
    places: the values at which each unit is rendered, rising, the same for all
    layers: [{title, units: names [U], values: the base samples' own values, [bases][U]}, …]
    note: a sentence on what is shown
"""

from pathlib import Path
from typing import NamedTuple

from ebm_jax.reporting.page import inline
from ebm_jax.reporting.tables import is_number

KEY = "explorer"
_PIXELATED = 64  # height in pixels below which an image is enlarged in squares


class Explorer(NamedTuple):
    """What the template and its script need."""

    source: str  # the sprite, a data URI
    tile: tuple[int, int]  # height, width
    places: list[float]
    bases: int
    layers: list[dict]  # title; units: [{name, row of a block, own: a value per base}]
    note: str

    @property
    def pixelated(self) -> bool:
        return self.tile[0] < _PIXELATED


def sprite_of(content: dict) -> str | None:
    """The name of the sprite's file in a task's JSON, or None where there is no explorer."""
    described = content.get(KEY)
    name = described.get("file") if isinstance(described, dict) else None
    return Path(name).name if isinstance(name, str) and name else None


def read_explorer(folder: Path, task: str, content: dict, problems: list[str]) -> Explorer | None:
    """The explorer that a task's JSON describes.

    Args:
      folder: of the JSON and the sprite.
      task: its name.
      content: the JSON.
      problems: gets a sentence where the explorer is described but cannot be shown.

    Returns:
      The explorer; None where there is none, or none that can be shown.
    """
    if KEY not in content:
        return None
    try:
        return _explorer(folder, content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        detail = f"no key {error}" if isinstance(error, KeyError) else error
        problems.append(f"The explorer of task '{task}' cannot be shown ({detail}).")
        return None


def _explorer(folder: Path, content: dict) -> Explorer:
    described, name = content[KEY], sprite_of(content)
    if name is None:
        raise ValueError("it names no file")
    height, width = described["tile"]
    places = described["places"]
    if not places or not all(map(is_number, places)) or sorted(set(places)) != places:
        raise ValueError("its places are no rising numbers")
    layers, row = [], 1
    for layer in described["layers"]:
        names, values = layer["units"], layer["values"]
        if any(len(own) != len(names) or not all(map(is_number, own)) for own in values):
            raise ValueError(f"{layer['title']} has not a value for every unit")
        units = [
            {"name": str(unit), "row": row + i, "own": [own[i] for own in values]}
            for i, unit in enumerate(names)
        ]
        row += len(units)
        layers.append({"title": str(layer["title"]), "units": units, "bases": len(values)})
    bases = {layer.pop("bases") for layer in layers}
    if len(bases) != 1 or 0 in bases or row == 1:
        raise ValueError("its layers have no units, or not the same base samples")
    (count,) = bases
    png = (folder / name).read_bytes()
    expected = (count * len(places) * width, row * height)
    if png_size(png) != expected:
        raise ValueError(f"{name} has {png_size(png)} pixels instead of {expected}")
    note = str(described.get("note") or "")
    return Explorer(inline(png), (height, width), places, count, layers, note)


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height, from the header of a PNG."""
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])
