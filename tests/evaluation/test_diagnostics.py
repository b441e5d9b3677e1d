"""Task `diagnostics`: numbers of chains with a known answer, the rule, and the JSON."""

import json
import shutil

import jax
import numpy as np
import pytest

from ebm_jax import inference, methods
from ebm_jax.errors import ConfigError, PreemptedError
from ebm_jax.evaluate import evaluate, open_context
from ebm_jax.evaluation import context as contexts
from ebm_jax.evaluation import diagnostics
from ebm_jax.evaluation.diagnostics import Trace, recommend, step_sizes, summary
from ebm_jax.samplers.diagnostics import effective_sample_size
from tests.samplers.test_diagnostics import ar1
from tests.test_train import tiny_config, trained_workdir


def small_config():
    config = tiny_config()
    config.eval.tasks = ("diagnostics",)
    config.eval.batch_size = 12
    config.eval.diagnostic_chains = 20
    config.eval.diagnostic_steps = 60
    config.eval.step_size_factors = (1.0, 3.0, 10.0)
    return config


def test_summary_of_ar1_chains():
    """A slow latent decides; the first half, which is elsewhere, does not count."""
    fast, slow = ar1(0.0, 1000, 20), ar1(0.9, 1000, 20, seed=1)
    energy = ar1(0.5, 1000, 20, seed=2)
    for array in (fast, slow, energy):
        array[:500] += 50.0
    accepted = np.repeat([[0.0], [0.75]], 500, axis=0) * np.ones((1, 20))
    found = summary(Trace(energy, energy, accepted, np.stack([fast, slow], axis=-1)))
    assert found["acceptance"] == 0.75
    assert found["ess_per_gradient"] == pytest.approx(0.1 / 1.9, rel=0.15)
    assert found["ess_energy"] == pytest.approx(10_000 * 0.5 / 1.5, rel=0.1)
    assert found["ess_latents"] == effective_sample_size(slow[500:])
    assert max(found["rhat_energy"], found["rhat_latents"]) < 1.05
    assert abs(found["energy_mean"]) < 0.1 and found["finite"] == 1.0
    every = summary(Trace(energy, energy, accepted, slow[..., None]), every=4)
    assert every["ess_per_gradient"] == pytest.approx(0.1 / 1.9 / 4, rel=0.15)


def test_remarks_on_the_recommendation():
    rows = {0.1: {"mala_rhat": 1.02}, 0.2: {"mala_rhat": 1.6}}
    assert diagnostics.remark(0.1, [0.1, 0.2], "mala", rows) == ""
    both = diagnostics.remark(0.2, [0.1, 0.2], "mala", rows)
    assert "largest step tried" in both and "not mixed (split R-hat 1.60)" in both
    rows[0.1]["mala_rhat"] = float("nan")
    assert "not mixed" in diagnostics.remark(0.1, [0.1, 0.2], "mala", rows)
    assert "try smaller ones" in diagnostics.remark(None, [0.1, 0.2], "mala", rows)


def test_diverged_chains_are_told():
    energy = ar1(0.0, 40, 4)
    latents = energy[..., None].copy()
    latents[30, 1] = np.nan
    found = summary(Trace(energy, energy, np.ones_like(energy), latents))
    assert found["finite"] == 0.75
    assert np.isnan(found["ess_per_gradient"]) and np.isnan(found["rhat_latents"])


def test_recommended_is_the_most_efficient_step_that_mala_accepts():
    acceptance = {0.1: 0.99, 0.2: 0.8, 0.4: 0.574, 0.8: 0.3}
    efficiency = {0.1: 0.01, 0.2: 0.03, 0.4: 0.05, 0.8: 0.2}
    assert recommend(acceptance, efficiency) == 0.4
    assert recommend(acceptance, efficiency | {0.4: 0.02}) == 0.2
    assert recommend(acceptance, efficiency | {0.4: np.nan}) == 0.2
    assert recommend({0.8: 0.3}, efficiency) is None


def test_step_sizes_of_the_sweep():
    config = small_config()
    assert config.sampler.prior.step_size == 0.3
    config.eval.step_size_factors = (2.0, 0.5, 10.0)
    assert step_sizes(config) == ([0.15, 0.3, 0.6], [3.0])
    config.sampler.prior.space = "z"
    assert step_sizes(config) == ([0.15, 0.3, 0.6, 3.0], [])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"eval.step_size_factors": ("a",)}, "step_size_factors is .'a',.; give positive numbers"),
        ({"eval.step_size_factors": (-1.0, 2.0)}, "start its sweep at step -0.3"),
        (
            {"sampler.prior.kernel": "mala", "sampler.prior.step_size": 2.5},
            "compare kernels at 2.5",
        ),
    ],
)
def test_sweep_that_makes_no_sense(settings, message):
    config = small_config()
    config.update_from_flattened_dict(settings)
    with pytest.raises(ConfigError, match=message):
        step_sizes(config)


def test_stability_compares_the_end_with_the_training_length():
    found = {"energy_profile": np.array([[5.0, 1.0, 1.0, 4.0], [9.0, 2.0, 2.0, 2.0]])}
    told = diagnostics._stability(found, short_steps=20, every=10)
    assert told["energy_after_20"] == 1.0 and told["energy_at_end"] == 4.0
    assert told["drift_in_spreads"] == 1.5 and not told["stable"]
    found["energy_profile"][0, -1] = 2.0
    assert diagnostics._stability(found, 20, 10)["stable"]


@pytest.fixture
def context(tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    return open_context(small_config(), folder)


def test_trace_is_what_the_sampler_did(context):
    """Chain i's last position and energies, whatever the chunks, one device or two."""
    kept = diagnostics.trace(context, "langevin", 0.3, 8, 2)
    assert kept.energy.shape == kept.accepted.shape == (4, 20)
    assert kept.latents.shape == (4, 20, 6)
    key = contexts.task_key(context, "diagnostics")
    method = methods.build(context.config)
    alone = jax.jit(lambda state, key: method.sample(state, key, 20, num_steps=8, keep_every=2))(
        context.state, key
    )
    np.testing.assert_allclose(kept.latents[-1], np.concatenate(alone.latents, 1), atol=1e-4)
    energy = method.energy(context.state, alone.latents)
    np.testing.assert_allclose(kept.energy[-1], energy, atol=1e-4)
    np.testing.assert_allclose(kept.grad_norm, alone.profile.grad_norm, rtol=1e-3)


def test_images_along_the_chain_are_decoded_only_when_asked_for(context):
    method = inference.on_all_devices(methods.build(context.config))
    options = dict(num_steps=4, keep_every=2)
    key = jax.random.key(0)
    shown = method.sample(context.state, key, 6, **options)
    assert shown.trajectory.shape == (2, 6, 8, 8, 1)
    hidden = method.sample(context.state, key, 6, keep_images=False, **options)
    assert hidden.trajectory is None
    assert [z.shape for z in hidden.latent_trajectory] == [(2, 6, 4), (2, 6, 2)]
    np.testing.assert_array_equal(hidden.images, shown.images)
    for along, last in zip(hidden.latent_trajectory, hidden.latents, strict=True):
        np.testing.assert_array_equal(along[-1], last)


def test_mala_ignores_a_clip_that_belongs_to_langevin(context):
    context.config.sampler.prior.clip = 2.5
    method = diagnostics.kernel_method(context.config, "mala", 0.7)
    samples = method.sample(context.state, jax.random.key(0), 4, num_steps=3)
    assert 0 <= np.mean(samples.info.accepted) < 1.001
    assert context.config.sampler.prior.kernel == "langevin"  # the config itself is left alone


def test_json_and_resume(tmp_path):
    folder = shutil.copytree(trained_workdir(), tmp_path / "run")
    config = small_config()
    polled = []

    def poll():
        polled.append(None)
        if len(polled) == 9:
            raise PreemptedError("stop")

    with pytest.raises(PreemptedError):
        diagnostics.run(open_context(config, folder, poll))
    stored = len(list((folder / "eval" / "shards").rglob("*.npz")))
    assert 0 < stored < 6
    evaluate(config, folder)
    written = json.loads((folder / "eval" / "diagnostics.json").read_text())
    assert not (folder / "eval" / "shards").exists()
    assert set(written["step_sizes"]) == {"0.3", "0.9"}
    assert written["step_sizes_left_out"] == [3.0]
    rows = written["step_sizes"]
    assert 1 >= rows["0.3"]["mala_acceptance"] > rows["0.9"]["mala_acceptance"] > 0
    assert written["results"]["step 0.3 (configured)"] == rows["0.3"]["mala_acceptance"]
    slow, fast = rows["0.3"], rows["0.9"]  # a longer step mixes faster
    assert 0 < 2 * slow["langevin_ess_per_gradient"] < fast["langevin_ess_per_gradient"] < 1
    accepted = [step for step in rows if rows[step]["mala_acceptance"] >= diagnostics.ACCEPTANCE]
    assert written["recommended_step_size"] == pytest.approx(float(accepted[-1]))
    long = written["long_chains"]
    assert long["acceptance"]["langevin"] == 1.0 > long["acceptance"]["mala"] > 0.5
    assert {"drift_in_spreads", "stable", "energy_after_5"} <= set(long)
    assert written["num_samples"] == 20
    for figure in written["figures"]:
        assert (folder / "eval" / figure).stat().st_size > 0
    page = (folder / "report.html").read_text()
    assert "Step-size sweep" in page and "diagnostics" in page


def test_a_model_without_energy_is_skipped(context):
    plain = context._replace(method=context.method._replace(has_energy=False))
    assert "no energy" in diagnostics.run(plain)["skipped"]
