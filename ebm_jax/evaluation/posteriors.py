"""The ways to infer the latents of an image: q(z|x), chains from q, chains from noise."""

import copy
from typing import Any, NamedTuple

from ebm_jax import methods
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.wording import START_WORDS
from ebm_jax.inference import on_all_devices


class Posterior(NamedTuple):
    """`num_steps` Langevin steps of `sampler.posterior` with `init` = `start`; q for 0."""

    start: str
    num_steps: int

    @property
    def words(self) -> str:
        """As a row's name; rows of up to 999 steps sort by them."""
        plural = "" if self.num_steps == 1 else "s"
        return f"{self.num_steps:03d} step{plural} from {START_WORDS[self.start]}"


def has_inference(context: Context) -> bool:
    """Whether there is a q(z|x)."""
    return context.method.evidence is not None and context.method.evidence.log_weights is not None


def inferring_by(config: Any, posterior: Posterior) -> methods.Method:
    """The method of a config with its `posterior` replaced; for the same parameters."""
    config = copy.deepcopy(config)
    config.eval.posterior = "langevin" if posterior.num_steps else "inference"
    config.sampler.posterior.init = posterior.start
    config.sampler.posterior.num_steps = max(posterior.num_steps, 1)
    return on_all_devices(methods.build(config))
