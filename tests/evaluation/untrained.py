"""A Context of a small untrained model on real digits: what tasks need, without a training run."""

import functools

import jax

from ebm_jax import data, methods
from ebm_jax.evaluation.context import Context
from ebm_jax.inference import on_all_devices
from tests.test_train import tiny_config


@functools.cache
def _model():
    config = tiny_config()
    dataset = data.open_dataset(config.data, "train")
    config.data.num_examples = dataset.num_examples
    method = methods.build(config)
    state = method.init(jax.random.key(0), data.make_batch(dataset, config.data, 0, 0))
    return on_all_devices(method), methods.inference_state(state)


def context_of(folder, poll=lambda: None, step=0, **eval_settings):
    """The Context; `eval_settings` replace those of `config.eval`."""
    config = tiny_config()
    for name, value in eval_settings.items():
        config.eval[name] = value
    train, test = (data.open_dataset(config.data, split) for split in ("train", "test"))
    config.data.num_examples = train.num_examples
    folder.mkdir(parents=True, exist_ok=True)
    return Context(config, *_model(), step, folder, train, test, poll)


class Counting:
    """A Context's method that counts the calls of what makes images."""

    def __init__(self, context):
        self.drawn = self.restored = 0
        self.context = context._replace(
            method=context.method._replace(sample=self._sample, reconstruct=self._reconstruct)
        )
        self._method = context.method

    def _sample(self, *arguments, **options):
        self.drawn += 1
        return self._method.sample(*arguments, **options)

    def _reconstruct(self, *arguments):
        self.restored += 1
        return self._method.reconstruct(*arguments)


class Killed(Exception):
    """What a poll raises in place of a signal."""


def killing(after):
    """A poll that raises at its call number `after`, counted from 0."""
    calls = iter(range(10**9))

    def poll():
        if next(calls) == after:
            raise Killed

    return poll
