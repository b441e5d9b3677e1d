"""Task `posterior_inference`: every posterior is the one it says, measured on its own draw."""

import copy

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from ebm_jax import data, methods
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation import posterior_inference
from ebm_jax.evaluation.context import task_key
from ebm_jax.evaluation.posterior_inference import posteriors
from ebm_jax.evaluation.posteriors import Posterior
from tests.evaluation.untrained import Killed, context_of, killing

# Untrained, q lies far out of the prior: chains need small steps.
STEP = 0.02
SETTINGS = dict(posterior_lengths=(2, 20), num_detection=40, batch_size=25)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    context = context_of(tmp_path_factory.mktemp("posteriors") / "eval", **SETTINGS)
    context.config.sampler.posterior.step_size = STEP
    return context, posterior_inference.run(context)


def test_which_posteriors(found):
    context, result = found
    assert posteriors(context.config, False) == [Posterior("normal", 2), Posterior("normal", 20)]
    assert list(result["posteriors"]) == [
        "000 steps from q(z|x)",
        "002 steps from q(z|x)",
        "020 steps from q(z|x)",
        "002 steps from N(0, I)",
        "020 steps from N(0, I)",
    ]
    without = context.method.evidence._replace(log_weights=None)
    context = context._replace(method=context.method._replace(evidence=without))
    assert list(posterior_inference.run(context)["posteriors"]) == list(result["posteriors"])[3:]


@pytest.mark.parametrize(
    "name, kind, start, steps",
    [
        ("000 steps from q(z|x)", "inference", "normal", 1),
        ("002 steps from q(z|x)", "langevin", "inference", 2),
        ("020 steps from N(0, I)", "langevin", "normal", 20),
    ],
)
def test_numbers_are_those_of_the_method_with_that_posterior(found, name, kind, start, steps):
    context, result = found
    config = copy.deepcopy(context.config)
    config.eval.posterior = kind
    config.sampler.posterior.update(init=start, num_steps=steps)
    method = methods.build(config)
    index = np.sort(np.random.default_rng(0).permutation(context.eval_set.num_examples)[:40])
    images = data.to_float(context.eval_set.fetch(index)[0], (-1.0, 1.0))
    arguments = (context.state, images, task_key(context, "posterior_inference"), index)
    row = result["posteriors"][name]
    scores = np.asarray(method.log_score(*arguments), np.float64)
    kept = np.abs(scores) < 1e6
    assert row["diverged"] == pytest.approx(1 - kept.mean())
    assert row["log_joint"] == pytest.approx(scores[kept].mean(), rel=1e-4)
    assert row["median"] == pytest.approx(np.median(np.maximum(scores, -1e6)), rel=1e-4)
    errors = np.mean((np.asarray(method.reconstruct(*arguments)) - images) ** 2, axis=(1, 2, 3)) / 4
    assert row["mse"] == pytest.approx(errors[kept].mean(), rel=1e-4)
    assert row["log_joint"] == pytest.approx(row["log_likelihood"] + row["log_prior"], rel=1e-6)
    assert row["seconds"] > 0


def test_chains_that_diverge_are_counted_and_not_drawn(tmp_path):
    context = context_of(tmp_path / "eval", posterior_lengths=(20,), num_detection=40)
    context.config.sampler.posterior.step_size = 0.1  # for chains from q: see STEP
    rows = posterior_inference.run(context)["posteriors"]
    shares = [rows[f"{n} steps from q(z|x)"]["diverged"] for n in ("000", "020")]
    assert 0 < shares[0] < shares[1] <= 1  # untrained, some draws of q are a million nats off
    assert rows["020 steps from N(0, I)"]["diverged"] == 0
    assert (context.folder / "posterior_inference.png").stat().st_size > 0


def test_longer_chains_climb(found):
    rows = found[1]["posteriors"]
    for start in ("q(z|x)", "N(0, I)"):
        assert (
            rows[f"020 steps from {start}"]["log_joint"]
            > rows[f"002 steps from {start}"]["log_joint"]
        )


def test_detection_where_a_class_was_held_out(tmp_path):
    context = context_of(tmp_path / "eval", posterior_lengths=(2,), num_detection=100)
    context.config.data.held_out_class = 3
    context.config.sampler.posterior.step_size = STEP
    result = posterior_inference.run(context)
    index = np.sort(np.random.default_rng(0).permutation(context.eval_set.num_examples)[:100])
    images = data.to_float(context.eval_set.fetch(index)[0], (-1.0, 1.0))
    key = task_key(context, "posterior_inference")
    scores = -np.asarray(context.method.log_score(context.state, images, key, index))
    labels = context.eval_set.labels[index] == 3
    expected = average_precision_score(labels, scores)
    assert result["posteriors"]["000 steps from q(z|x)"]["auprc"] == pytest.approx(
        expected, abs=1e-6
    )


def test_interrupted_and_run_again(found, tmp_path):
    again = context_of(tmp_path / "eval", poll=killing(5), **SETTINGS)
    again.config.sampler.posterior.step_size = STEP
    with pytest.raises(Killed):
        posterior_inference.run(again)
    assert len(list((again.folder / "shards").rglob("*.npz"))) == 5
    result = posterior_inference.run(again._replace(poll=lambda: None))
    assert result["results"] == found[1]["results"]
    assert not (again.folder / "shards").exists()


def test_method_without_layers_and_wrong_lengths(tmp_path):
    context = context_of(tmp_path / "eval")
    with pytest.raises(ConfigError, match="leave 'posterior_inference' out"):
        posterior_inference.run(context._replace(method=context.method._replace(maps=None)))
    for lengths in ((), (0, 5), (2.5,)):
        context.config.eval.posterior_lengths = lengths
        with pytest.raises(ConfigError, match="posterior_lengths"):
            posterior_inference.check(context.config)
