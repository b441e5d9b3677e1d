"""The card of a model: what it is, where it is from, its numbers and limits, as Markdown."""

import json
from typing import Any

from ebm_jax.reporting.card_limits import limits_of, size_words, spaced
from ebm_jax.reporting.data_licences import data_set
from ebm_jax.reporting.model_kinds import kind_of
from ebm_jax.reporting.result_table import number_text
from ebm_jax.reporting.tables import label

PICTURE = "samples.png"
WEIGHTS_LICENCE = "Apache-2.0"


def render_card(place: str, card: dict[str, Any], config: dict[str, Any]) -> str:
    """A card, the same for the same arguments.

    Args:
      place: the export's folder and the one it is in, as "pretrained/digits_joint".
      card: as `ebm_jax.reporting.card_record.card_of` makes it, and `picture`, with the number of
        its `images` and their `seed`; where parameters were rounded `half` too, how far (`moved`,
        in the data's range) the samples of so many `images` did.
      config: the settings of the export.

    Returns:
      Markdown.

    Raises:
      ConfigError: the data set has no licence on record.
    """
    name = place.rpartition("/")[2]
    limits = [card["limits"]] if card["limits"] else limits_of(card, config)
    parts = [
        f"# {name}",
        _introduction(card, config),
        _loading(place, config),
        f"![{card['picture']['images']} samples of {name}]({PICTURE})",
        f"The first {card['picture']['images']} samples of `python -m ebm_jax.main --workdir "
        f"{place} --mode sample --config.sample.seed={card['picture']['seed']}`: drawn "
        "from this export, not chosen.",
        _table([("what", "value"), *_facts(card, config)], ":--|:--"),
        "Numbers of this run, from its own evaluation:",
        *_numbers(card["numbers"]),
        "Limits:",
        "\n".join(f"- {limit}" for limit in limits),
    ]
    return "\n\n".join(parts) + "\n"


def _introduction(card, config) -> str:
    kind = kind_of(config)
    return (
        f"{card['sentence']}\n\nMethod `{config['method']['name']}`: {kind.words} ({kind.paper}). "
        f"{_latents(config)}."
    )


def _latents(config) -> str:
    *lower, top = map(str, config["model"]["latent_sizes"])
    sizes = f"{', '.join(lower)} and {top}" if lower else top
    if config["model"]["generator"]["kind"] == "nvae":
        return f"Latents: {len(lower) + 1} groups of maps, of {sizes} channels"
    if not lower:
        return f"Latents: one layer of {sizes} units"
    return f"Latents: {len(lower) + 1} layers, of {sizes} units from the bottom up"


def _loading(place, config) -> str:
    data = config["data"]
    low, high = data["range"]
    shape = f"[16, {data['image_size']}, {data['image_size']}, {data['channels']}]"
    return (
        "```python\nimport jax\nimport ebm_jax\n\n"
        f'model = ebm_jax.load("{place}")\n'
        "images = model.sample(jax.random.key(0), 16).images"
        f"  # {shape}, data in [{low:g}, {high:g}]\n{_asking(data)}```"
    )


def _asking(data) -> str:
    """The lines that ask for attributes."""
    if not data.get("attributes"):
        return ""
    asked = {name: 0 for name, _ in data["attributes"]}
    values = ", ".join(f"{name} 0 to {size - 1}" for name, size in data["attributes"])
    return (
        f"asked = {json.dumps(asked)}  # {values}\n"
        "images, latents = model.request(jax.random.key(1), 16, asked)\n"
    )


def _facts(card, config) -> list[tuple[str, str]]:
    minutes = "not logged" if card["minutes"] is None else f"{card['minutes']:.3g}"
    at = ", ".join(commit[:10] for commit in card["evaluation_commits"])
    facts = [
        ("config", f"`{card['config']}`"),
        ("first stage", _first_stage(card["first_stage"])),
        *(("command", _code(command)) for command in card["commands"]),
        (
            "trained at",
            f"commit {card['commit'][:10]}, seed {card['seed']}, {spaced(card['steps'])} steps",
        ),
        ("evaluated at", at and f"commit {at}"),
        ("minutes of training", minutes),
        ("hardware", card["hardware"] or "not recorded"),
        ("data", _data(config)),
        ("parameters", _rounding(card.get("half"), config)),
        ("licence of the weights", WEIGHTS_LICENCE),
    ]
    return [(name, told) for name, told in facts if told]


def _first_stage(stage) -> str:
    if not stage:
        return ""
    return (
        f"`{stage['name']}` after {spaced(stage['step'])} steps (SHA-256 of its params.msgpack: "
        f"{stage['sha256']}…)"
    )


def _rounding(half, config) -> str:
    if not half:
        return ""
    low, high = config["data"]["range"]
    return (
        f"rounded to half precision after the evaluation, which moved {half['images']} samples by "
        f"{half['moved']:.2g} (root mean square) in data of [{low:g}, {high:g}]"
    )


def _data(config) -> str:
    data, found = config["data"], data_set(config)
    count = f"{spaced(data['num_examples'])} " if data.get("num_examples") else ""
    part = ""
    if data.get("held_out_class") is not None:
        part = f", without class {data['held_out_class']}"
    elif data.get("classes"):
        part = f", of classes {', '.join(map(str, data['classes']))}"
    return (
        f"{count}{size_words(config)} images of {found.title} (split `{data['train_split']}`{part})"
        f": {found.source}; {found.licence}"
    )


def _numbers(numbers: list[dict]) -> list[str]:
    """The table, and the protocols that it numbers."""
    protocols = list(dict.fromkeys(number["protocol"] for number in numbers))
    rows = [("Metric", "Variant", "Value", "Protocol")]
    rows += [
        (
            number["metric"],
            label(number["variant"]),
            number_text(number["value"], number["deviation"]),
            str(protocols.index(number["protocol"]) + 1),
        )
        for number in numbers
    ]
    told = "\n".join(
        f"{i}. {protocol.rstrip('.') or 'not recorded'}." for i, protocol in enumerate(protocols, 1)
    )
    return [_table(rows, ":--|:--|--:|--:"), told]


def _table(rows: list[tuple[str, ...]], alignment: str) -> str:
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in escaped]
    return "\n".join([lines[0], f"|{alignment}|", *lines[1:]])


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"
