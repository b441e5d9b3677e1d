"""Kinds of models, in words: what a config's settings amount to, and the paper it is from."""

from typing import Any, NamedTuple


class Kind(NamedTuple):
    """A kind of model.

    Attributes:
      words: what it is.
      paper: authors, title and place.
      limit: what its user should know, as sentences; '' where there is nothing of its own.
    """

    words: str
    paper: str
    limit: str = ""


_CVPR = (
    "Cui, Wu and Han, *Learning Joint Latent Space EBM Prior Model for Multi-layer Generator*, "
    "CVPR 2023"
)
_ICCV = (
    "Cui, Wu and Han, *Learning Hierarchical Features with Joint Latent Space Energy-Based "
    "Prior*, ICCV 2023"
)
_ICML = "Cui and Han, *Learning Latent Space Hierarchical EBM Diffusion Models*, ICML 2024"
_HAT = (
    "Hill, Nijkamp, Mitchell, Pang and Zhu, *Learning Probabilistic Models from Generator Latent "
    "Spaces with Hat EBM*, NeurIPS 2022"
)
_NO_ENERGY = "It has no energy: its samples are those of the Gaussian prior."
_BACKBONE = (
    "The nets below the energies are those of the first stage, unchanged, and are part of this "
    "export."
)
_RESIDUAL = "The chain moves the image itself, which may leave the data's range."

KINDS = {
    "vae": Kind(
        "VAE, one layer of latents, no energy",
        "Kingma and Welling, *Auto-Encoding Variational Bayes*, ICLR 2014",
        _NO_ENERGY,
    ),
    "hvae": Kind(
        "hierarchical VAE, no energy", f"the baseline, and the backbone, of {_CVPR}", _NO_ENERGY
    ),
    "abp": Kind(
        "alternating back-propagation, no energy",
        "Han, Lu, Zhu and Wu, *Alternating Back-Propagation for Generator Network*, AAAI 2017",
        _NO_ENERGY,
    ),
    "lebm": Kind(
        "latent EBM prior, one layer",
        "Pang, Han, Nijkamp, Zhu and Wu, *Learning Latent Space Energy-Based Prior Model*, "
        "NeurIPS 2020",
    ),
    "joint": Kind("joint latent EBM prior", _CVPR),
    "two_stage": Kind("joint latent EBM prior on a backbone", _CVPR, _BACKBONE),
    "diffusion": Kind("latent EBM diffusion on a backbone", _ICML, _BACKBONE),
    "control": Kind(
        "energies on a backbone, samples by attributes",
        _ICML,
        f"{_BACKBONE} An attribute that is asked for is not always got.",
    ),
    "ladder": Kind("ladder model with one energy on all layers", _ICCV),
    "lvae": Kind("ladder VAE, no energy", f"the baseline of {_ICCV}", _NO_ENERGY),
    "nvae": Kind(
        "deep hierarchical VAE, no energy",
        "Vahdat and Kautz, *NVAE: A Deep Hierarchical Variational Autoencoder*, NeurIPS 2020",
        _NO_ENERGY,
    ),
    "hat": Kind("Hat EBM, synthesis", _HAT, _RESIDUAL),
    "hat_joint": Kind(
        "Hat EBM on the generator of another model", _HAT, f"{_RESIDUAL} {_BACKBONE}"
    ),
    "sngan": Kind(
        "SN-GAN",
        "Miyato, Kataoka, Koyama and Yoshida, *Spectral Normalization for Generative Adversarial "
        "Networks*, ICLR 2018",
        "It has neither an energy nor latents of an image.",
    ),
    "autoencoder": Kind(
        "autoencoder on the sphere",
        f"the first stage of a retrofit of {_HAT}",
        "It is no generative model: what it decodes of noise are no images of its data.",
    ),
}


def kind_of(config: dict[str, Any]) -> Kind:
    """The kind of model that an experiment's settings amount to.

    Args:
      config: the settings as nested dicts, complete.

    Raises:
      KeyError: the method has no kind.
    """
    name = config["method"]["name"]
    energy = config["model"]["energy"]["enabled"]
    one_layer = len(config["model"]["latent_sizes"]) == 1
    if config.get("coupling"):
        name = "control"
    elif name == "joint" and not energy:
        learned_by_chains = config["method"].get("learning") == "mcmc"
        name = "abp" if learned_by_chains else "vae" if one_layer else "hvae"
    elif name == "joint":
        name = (
            "two_stage" if config["method"].get("stages") == 2 else "lebm" if one_layer else "joint"
        )
    elif name == "ladder" and not energy:
        name = "lvae"
    elif name == "hat" and config["hat"]["density"] == "joint":
        name = "hat_joint"
    return KINDS[name]
