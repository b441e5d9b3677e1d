"""Task `residual`: its numbers are those of the chains it draws."""

import jax
import numpy as np
import pytest

from configs import hats
from ebm_jax import data, methods
from ebm_jax.evaluation import chains, ood, residual
from ebm_jax.evaluation.context import Context
from ebm_jax.evaluation.scoring import scored
from ebm_jax.inference import on_all_devices

COUNT, STEPS = 6, 22


@pytest.fixture(scope="module")
def context(tmp_path_factory):
    c = hats.synthesis(8, 1)
    hats.on_digits(c)
    c.hat.z_step_size = 0.1
    c.hat.temperature = 10.0
    c.hat.bank_size = 4
    c.data.batch_size = 4
    c.model.generator.hidden = (4, 4)
    c.model.energy.update(hidden=(4, 4), halvings=1)
    c.sampler.prior.step_size = 0.3
    c.sampler.prior.num_steps, c.eval.prior_steps = STEPS, None
    c.eval.hierarchy_samples, c.eval.batch_size = COUNT, 4  # the last chunk is not full
    train, test = (data.open_dataset(c.data, split) for split in ("train", "test"))
    c.data.num_examples = train.num_examples
    method = methods.build(c)
    state = method.init(jax.random.key(0), data.make_batch(train, c.data, 0, 0))
    folder = tmp_path_factory.mktemp("residual")
    return Context(
        c, on_all_devices(method), methods.inference_state(state), 0, folder, train, test, int
    )


def test_a_generator_whose_z_stays_has_not_moved(context):
    with context.config.unlocked():
        c = context.config.copy_and_resolve_references()
    c.hat.z_step_size = 0.0
    still = context._replace(config=c, method=on_all_devices(methods.build(c)))
    assert set(residual.run(still)["results"]) == {"residual"}


def test_long_chains_of_images_and_residuals(context):
    """Task `chains`, whose positions are here {"z", "y"}."""
    c = context.config
    c.eval.update(long_chain_steps=50, long_chain_samples=70)
    found = chains.run(context)
    method, state = context.method, context.state
    key = residual.task_key(context, "samples")
    end = method.sample(state, key, 70, prior="ebm", num_steps=50)
    expected = np.mean(method.energy(state, end.latents))
    assert found["chains"]["long"]["energy_mean"] == pytest.approx(float(expected), rel=1e-4)
    assert found["chains"]["long"]["steps"] == 50 and found["chains"]["short"]["steps"] == STEPS
    assert "T = 10" in found["protocol"]
    for figure in found["figures"]:
        assert (context.folder / figure).stat().st_size > 1_000


def test_numbers_are_those_of_the_chains(context):
    result = residual.run(context)
    key = residual.task_key(context, "residual")
    method, state = context.method, context.state
    start = method.sample(state, key, COUNT, prior="gaussian").images
    end = method.sample(state, key, COUNT, prior="ebm")
    y = end.latents["y"]
    rms = {"residual": y, "generator_moved": end.images - y - start}
    for name, difference in rms.items():
        expected = float(np.sqrt(np.mean(np.square(difference))))
        assert result["results"][name] == pytest.approx(expected, rel=1e-4)
    assert result["results"]["residual"] > 0.7  # 22 steps of noise 0.3: 1.4
    assert result["results"]["generator_moved"] > 1e-4
    index = np.arange(COUNT, dtype=np.int32)
    test_images = data.to_float(context.eval_set.fetch(index)[0], (-1.0, 1.0))
    for name, images in (("start", start), ("end", end.images), ("test_images", test_images)):
        expected = np.mean(method.log_score(state, images, key, index))
        assert result["log_score"][name] == pytest.approx(float(expected), rel=1e-4)
    assert len(set(result["log_score"].values())) == 3
    for figure in result["figures"]:
        assert (context.folder / figure).stat().st_size > 1_000
    assert "z by steps of 0.1, T = 10, τ = 0" in result["protocol"]


def test_ood_is_by_the_energy_alone(context):
    config = context.config.copy_and_resolve_references()
    config.eval.ood_data, config.eval.num_detection = ("noise",), 300
    context = context._replace(config=config)
    result = ood.run(context)
    assert list(result["results"]) == ["noise/energy"]
    assert "score: the energy" in result["protocol"] and "no latents inferred" in result["protocol"]
    (inside, outside) = (context.eval_set, ood.open_outsides(config)["noise"])
    examined = scored(context, inside, outside)
    energies = []
    for dataset, examples in zip((inside, outside), examined, strict=True):
        images = data.to_float(dataset.fetch(examples)[0], (-1.0, 1.0))
        index = examples.astype(np.int32)
        score = context.method.log_score(context.state, images, jax.random.key(0), index)
        energies.append(-np.asarray(score))
    above = energies[1][:, None] > energies[0][None]
    found = result["equal_numbers"]["noise/energy"]["auroc"]
    assert found == pytest.approx(above.mean(), abs=1e-6)


@pytest.mark.parametrize("steps, every", [(125, 5), (20, 2), (100, 10), (7, 1), (250, 25), (1, 1)])
def test_chains_of_any_length_split_evenly(steps, every):
    assert residual.spacing(steps) == every
