"""A method's inference functions, compiled, on all devices."""

from typing import Any

import jax
import numpy as np

from ebm_jax import methods, parallel
from ebm_jax.methods import Method, Samples
from ebm_jax.methods.base import Control, Evidence


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
    scored: dict[Any, Any] = {}

    def sample(state, key, n, *, start=0, **options):
        name = tuple(sorted(options.items()))
        if name not in samplers:
            samplers[name] = parallel.over_examples(
                lambda state, key, index: method.sample(
                    state, key, index.shape[0], start=index[0], **options
                ),
                in_axes=(None, None, 0),
                out_axes=Samples(0, 0, 0, trajectory=1, profile=1, latent_trajectory=1),
            )
        return samplers[name](state, key, int(start) + np.arange(n))

    def scoring(function):
        def score(state, images, key, index, k=0):
            if (function, k) not in scored:
                scored[function, k] = parallel.over_examples(
                    lambda *arguments: function(*arguments, k=k), **by_index
                )
            return scored[function, k](state, images, key, index)

        return score

    evidence = compiled.evidence and _on_all_devices(compiled.evidence, method.evidence)
    return compiled._replace(
        sample=sample,
        posterior=method.posterior and parallel.over_examples(method.posterior, **by_index),
        reconstruct=method.reconstruct and parallel.over_examples(method.reconstruct, **by_index),
        log_score=method.log_score and scoring(method.log_score),
        log_terms=method.log_terms and scoring(method.log_terms),
        layer_terms=method.layer_terms and parallel.over_examples(method.layer_terms, **by_index),
        evidence=evidence,
        control=method.control and _controlled(method.control, by_index),
    )


def _controlled(control: Control, by_index: dict) -> Control:
    """A Control with the examples split over all devices."""
    split: dict[Any, Any] = {}  # one compiled function per choice of layers

    def request(state, key, index, values, guidance=1.0, kept=None, moved=None):
        name = moved, kept is None
        if name not in split:
            split[name] = parallel.over_examples(
                lambda *arguments: control.request(*arguments, moved=moved),
                in_axes=(None, None, 0, 0, None, None if kept is None else 0),
                out_axes=0,
            )
        return split[name](state, key, index, values, guidance, kept)

    return Control(request, parallel.over_examples(control.log_probs, **by_index))


def _on_all_devices(compiled: Evidence, evidence: Evidence) -> Evidence:
    """The chains and samples of an Evidence, split over all devices."""
    split: dict[Any, Any] = {}  # one compiled function per name and static choice

    def mapped(name, function, in_axes, out_axes=0):
        if name not in split:
            split[name] = parallel.over_examples(function, in_axes=in_axes, out_axes=out_axes)
        return split[name]

    def log_weights(state, images, key, index, num, start=0):
        def function(state, images, key, index, start):
            return evidence.log_weights(state, images, key, index, num, start)

        call = mapped(("weights", num), function, (None, 0, None, 0, None), out_axes=1)
        return call(state, images, key, index, start)

    def forward(state, images, *rest):
        examples = None if images is None else 0
        in_axes = (None, examples, None, 0, None, None)
        return mapped(("forward", examples), evidence.forward, in_axes)(state, images, *rest)

    def reverse(state, images, *rest):
        examples = None if images is None else 0
        in_axes = (None, examples, 0, None, 0, None, None)
        return mapped(("reverse", examples), evidence.reverse, in_axes)(state, images, *rest)

    return compiled._replace(
        log_weights=evidence.log_weights and log_weights,
        forward=forward,
        reverse=reverse,
    )
