"""The folder of exports: which there are, and the table of them."""

import json
from pathlib import Path
from typing import Any

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.card_limits import size_words, spaced
from ebm_jax.reporting.data_licences import data_set
from ebm_jax.reporting.marked_page import page_with
from ebm_jax.reporting.model_card import render_card
from ebm_jax.reporting.model_kinds import kind_of
from ebm_jax.reporting.run_record import PARAMETERS

CARD, PAGE, MARKERS = "card.json", "README.md", "models"
_NEW_PAGE = f"# Pretrained models\n\n<!-- {MARKERS}:start -->\n<!-- {MARKERS}:end -->\n"


def pages_of(folder: Path) -> dict[Path, str]:
    """What the pages in a folder of exports must say.

    Args:
      folder: holds a folder for each export and README.md with the markers; where README.md is
        missing a new one is made.

    Returns:
      Path → text: README.md with the table, and the card of each export that has a `card.json`.
      Other cards were written by hand and stay.

    Raises:
      ConfigError: README.md has no markers, or an export's JSON cannot be read.
    """
    exports = sorted(path.parent for path in folder.glob(f"[!.]*/{PARAMETERS}"))
    described = {export: _read(export / "config.json") for export in exports}
    page = folder / PAGE
    text = page.read_text(encoding="utf-8") if page.exists() else _NEW_PAGE
    pages = {page: page_with(text, _table(described), MARKERS)}
    for export, description in described.items():
        if (export / CARD).is_file():
            card = _read(export / CARD)
            pages[export / PAGE] = render_card(place_of(export), card, description["config"])
    return pages


def place_of(export: Path) -> str:
    """The name of an export with that of the folder it is in, where its card's commands find it.

    They are for readers who stand in the folder above, wherever the exports are moved to.
    """
    return "/".join(export.resolve().parts[-2:])


def _table(described: dict[Path, dict]) -> str:
    lines = ["| export | model | data | images | steps | kB |", "|:--|:--|:--|:--|--:|--:|"]
    for export, description in described.items():
        config, name = description["config"], export.name
        cells = (
            f"[`{name}`]({name}/{PAGE})",
            kind_of(config).words,
            data_set(config).title,
            size_words(config),
            spaced(description["step"]),
            spaced(round((export / PARAMETERS).stat().st_size / 1000)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, TypeError, ValueError) as error:
        raise ConfigError(f"'{path}' cannot be read ({error}); write the export again.") from error
