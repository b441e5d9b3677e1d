"""What a model is not for, where nobody has written it: from its settings and its numbers."""

from typing import Any

from ebm_jax.reporting.data_licences import data_set
from ebm_jax.reporting.model_kinds import kind_of
from ebm_jax.reporting.tables import format_number

_FAR = 1.5  # long chains whose distance is this many times the short ones' have left the data


def limits_of(card: dict[str, Any], config: dict[str, Any]) -> list[str]:
    """Sentences about what the model knows, what its numbers mean and what its chains do.

    Args:
      card: as `ebm_jax.reporting.card_record.card_of` makes it.
      config: the settings of the export.
    """
    kind, data = kind_of(config), data_set(config)
    sentences = [
        f"It knows {size_words(config)} images of {data.shown} and nothing else; it is for the "
        "study of priors and their samplers, not for reading images or deciding anything by them.",
        kind.limit,
        _of_statistics(config),
        _of_energy(card),
        _of_chains(card, config),
    ]
    if any(number["metric"] == "fd_classifier" for number in card["numbers"]):
        sentences.append(
            "`fd_classifier` compares models of this data set with each other; it is not FID and "
            "does not stand beside published numbers."
        )
    if ":quick" in card["commands"][0]:
        sentences.append("It is of a quick run, which shows that it runs and nothing else.")
    sentences.append(f"One run, of seed {card['seed']}: other seeds give other numbers.")
    return [sentence for sentence in sentences if sentence]


def size_words(config: dict[str, Any]) -> str:
    """E.g. `8 × 8 grey`."""
    side, channels = config["data"]["image_size"], config["data"]["channels"]
    return f"{side} × {side} {'grey' if channels == 1 else 'colour'}"


def spaced(number: int) -> str:
    """A count with a space between thousands: 60 000."""
    return f"{number:,}".replace(",", " ")


def _values(card, metric: str) -> dict[str, float]:
    return {n["variant"]: n["value"] for n in card["numbers"] if n["metric"] == metric}


def _of_statistics(config) -> str:
    if not config["eval"].get("recalibration_batches"):
        return ""
    return (
        "Its batch normalisation wants the statistics of samples (`eval.recalibration_batches`), "
        "which evaluation takes and `ebm_jax.load(…).sample` does not: samples drawn that way are "
        "worse than the table says."
    )


def _of_energy(card) -> str:
    found = _values(card, "fd_classifier")
    if not {"ebm_prior", "gaussian_prior"} <= found.keys():
        return ""
    if found["ebm_prior"] < found["gaussian_prior"]:
        return ""
    return (
        "The energy gains nothing here: samples of the EBM prior are no closer to the data than "
        "those of the Gaussian prior."
    )


def _of_chains(card, config) -> str:
    found, steps = _values(card, "fd_classifier"), card["chain_steps"]
    if not {"long_chains", "short_chains"} <= found.keys() & steps.keys():
        return ""
    long, short = found["long_chains"], found["short_chains"]
    divided = " on average" * bool(config["eval"].get("level_shares"))
    levels = f" at each level{divided}" if config["method"]["name"] == "diffusion" else ""
    told = (
        f"`fd_classifier` is {format_number(short)} after {spaced(steps['short_chains'])} Langevin "
        f"steps{levels} and {format_number(long)} after {spaced(steps['long_chains'])}"
    )
    if long > _FAR * short:
        return f"Its energy is for short chains alone: long ones leave the data ({told})."
    return f"Longer chains than those of its samples: {told}."
