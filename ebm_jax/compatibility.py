"""Exports of earlier versions: settings that were added since, at what the code did without them.

A setting that a model needs and that did not exist before gets a line here, so that the exports in
`pretrained/` and all later ones can be loaded for good. (Those of before 2026-11-27 were not kept:
some lack settings that are not listed.)
"""

import ml_collections

# (group, a setting that all configs concerned have in it, the added setting, its value)
_ADDED = (("train", "num_steps", "remat", False),)


def complete(config: ml_collections.ConfigDict) -> None:
    """Adds to `config`, of an export, the settings that it lacks."""
    for path, known, name, value in _ADDED:
        group = config
        for part in path.split("."):
            group = group.get(part, {})
        if known in group and name not in group:
            group[name] = value
