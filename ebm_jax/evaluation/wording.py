"""How samples and latents came about, in the words of a protocol: the chain is part of a result."""

from typing import Any

# sampler.posterior.init → in words
START_WORDS = {"normal": "N(0, I)", "ancestral": "p_β", "inference": "q(z|x)"}


def chain_words(chain: Any, num_steps: int | None = None) -> str:
    """A chain's settings, e.g. '60 Langevin steps of 0.4 in u-space'."""
    kernel = {"langevin": "Langevin", "mala": "MALA"}[chain.kernel]
    steps = num_steps or chain.num_steps
    return f"{steps} {kernel} steps of {chain.step_size:g} in {chain.space}-space"


def weights_words(config: Any) -> str:
    """Whose numbers these are."""
    return "averaged weights" if config.train.ema_decay else "last weights"


def prior_words(config: Any, method: Any) -> str:
    """How samples of the EBM prior are drawn; empty without an energy."""
    if not method.has_energy:
        return ""
    chain = chain_words(config.sampler.prior, config.eval.prior_steps)
    return f", EBM prior by {chain}{method.chain_detail}"


def request_words(config: Any, method: Any) -> str:
    """How samples with given attributes are drawn."""
    steps = config.eval.request_steps
    if not steps:
        return prior_words(config, method)
    size = config.sampler.prior.step_size
    parts = [f"{count} of {size * factor:g}" for count, factor in steps]
    return f", EBM prior by Langevin steps in u-space, {', then '.join(parts)}"


def posterior_words(config: Any) -> str:
    """How the latents of an image are drawn."""
    if config.eval.posterior == "encoder":
        return "z by the encoder"
    if config.eval.posterior == "inference":
        return "z from q(z|x)"
    chain = config.sampler.posterior
    return f"z by {chain_words(chain)} from {START_WORDS[chain.init]}"


def redraw_words(config: Any) -> str:
    """How the layers below the kept ones come about in L^{>k}."""
    steps = config.eval.redraw_steps
    start = "drawn from" if config.eval.redraw == "sample" else "at the means of"
    words = f"{start} p_β(z_{{≤k}} | z_{{>k}})"
    if steps:
        size = config.sampler.prior.step_size
        words += (
            f", then {steps} Langevin steps of {size:g} on the EBM prior in u-space, z_{{>k}} "
            "clamped"
        )
    return words
