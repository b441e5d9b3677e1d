"""Exports of earlier versions: settings that were added since, at what the code did without them.

A setting that a model needs and that did not exist before gets a line here, so that the exports in
`pretrained/` and all later ones can be loaded for good. (Those of before 2026-11-27 were not kept:
some lack settings that are not listed.)
"""

import copy

import ml_collections

# (group, a setting that all configs concerned have in it, the added setting, its value)
_SAMPLE = dict(num_images=64, seed=0, prior="ebm", frozen=(), attributes=(), strip=0)
_ADDED = (
    ("train", "num_steps", "remat", False),
    ("diffusion", "step_rule", "weight_power", 1.0),
    ("eval", "prior_steps", "level_shares", ()),
    ("coupling", "layers", "labels", "data"),
    ("eval", "guidance", "request_steps", ()),
    ("", "seed", "sample", ml_collections.ConfigDict(_SAMPLE)),
    ("sample", "strip", "folder", ""),
)


def complete(config: ml_collections.ConfigDict) -> None:
    """Adds to `config`, of an export, the settings that it lacks."""
    for path, known, name, value in _ADDED:
        group = config
        for part in path.split(".") if path else ():
            group = group.get(part, {})
        if known in group and name not in group:
            group[name] = copy.deepcopy(value)
