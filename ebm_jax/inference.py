"""A method's inference functions, compiled, on all devices."""

from typing import Any

import jax
import numpy as np

from ebm_jax import methods, parallel
from ebm_jax.methods import Method, Samples


def on_all_devices(method: Method) -> Method:
    """`methods.compiled`, with the examples split over all devices where there are several.

    Example i is the same on any number of them. Where there are several processes, all must call,
    and all get all results.
    """
    compiled = methods.compiled(method)
    if jax.device_count() == 1:
        return compiled
    by_index = dict(in_axes=(None, 0, None, 0), out_axes=0)
    samplers: dict[Any, Any] = {}  # one compiled function per set of options
    scores: dict[int, Any] = {}

    def sample(state, key, n, *, start=0, **options):
        name = tuple(sorted(options.items()))
        if name not in samplers:
            samplers[name] = parallel.over_examples(
                lambda state, key, index: method.sample(
                    state, key, index.shape[0], start=index[0], **options
                ),
                in_axes=(None, None, 0),
                out_axes=Samples(images=0, latents=0, info=0, trajectory=1, profile=1),
            )
        return samplers[name](state, key, int(start) + np.arange(n))

    def log_score(state, images, key, index, k=0):
        if k not in scores:
            scores[k] = parallel.over_examples(
                lambda *arguments: method.log_score(*arguments, k=k), **by_index
            )
        return scores[k](state, images, key, index)

    return compiled._replace(
        sample=sample,
        posterior=parallel.over_examples(method.posterior, **by_index),
        reconstruct=parallel.over_examples(method.reconstruct, **by_index),
        log_score=log_score,
    )
