"""Whose the data sets are that weights may be given away of, and on what terms."""

from typing import Any, NamedTuple

from ebm_jax.errors import ConfigError


class DataSet(NamedTuple):
    """What a card says of a data set.

    Attributes:
      title: its name in text.
      shown: what its images show.
      source: who made it, and where it is from.
      licence: of the data.
    """

    title: str
    shown: str
    source: str
    licence: str


DATA_SETS = {
    "digits": DataSet(
        "digits",
        "handwritten digits",
        "Optical Recognition of Handwritten Digits, Alpaydin and Kaynak, UCI Machine Learning "
        "Repository, as scikit-learn ships it",
        "CC BY 4.0",
    ),
    "mnist": DataSet(
        "MNIST", "handwritten digits", "MNIST, LeCun, Cortes and Burges", "CC BY-SA 3.0"
    ),
    "fashion_mnist": DataSet(
        "Fashion-MNIST",
        "clothes, shoes and bags",
        "Fashion-MNIST, Xiao, Rasul and Vollgraf, Zalando",
        "MIT",
    ),
}


def data_set(config: dict[str, Any]) -> DataSet:
    """The data set that a model was trained on.

    Args:
      config: the experiment's settings as nested dicts.

    Raises:
      ConfigError: nothing is known of its licence.
    """
    name = config["data"]["name"]
    if name not in DATA_SETS:
        raise ConfigError(
            f"data.name is '{name}', of which no licence is on record (only of "
            f"{', '.join(DATA_SETS)}); add its source and licence to "
            "ebm_jax/reporting/data_licences.py first."
        )
    return DATA_SETS[name]
