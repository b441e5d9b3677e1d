"""Exports of earlier versions: settings that were added since, at what the code did without them.

A setting that a model needs and that did not exist before gets a line here, so that what was
exported once can be loaded for good.
"""

import ml_collections

# (group, a setting that only the configs concerned have, the added setting, its value)
_ADDED = (("model.generator", "scales", "remat", False),)


def complete(config: ml_collections.ConfigDict) -> None:
    """Adds the settings that `config`, of an export, lacks."""
    for path, known, name, value in _ADDED:
        group = config
        for part in path.split("."):
            group = group.get(part, {})
        if known in group and name not in group:
            group[name] = value
