"""What a run takes from another: found in its folder, refused where it does not fit, kept."""

import hashlib
import json
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs import base, hats, stages
from ebm_jax import export, first_stage, methods
from ebm_jax.errors import ConfigError, DataError
from ebm_jax.train import train
from tests.test_train import tiny_config


def small(c, **settings):
    hats.on_digits(c)
    c.data.batch_size = 16
    for part in ("energy", "discriminator"):
        if part in c.model:
            c.model[part].update(hidden=(4, 4), halvings=1)
    c.train.steps_per_dispatch = 1
    c.train.num_steps = c.train.checkpoint_every = c.train.log_every = 2
    c.train.image_every = 2
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


def sngan(**settings):
    c = small(hats.sngan(8, 1), gan__discriminator_steps=2, model__generator__hidden=(4, 4))
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


def refinement(folder=None, **settings):
    c = small(hats.refinement(8, 1), model__generator__hidden=(4, 4), sampler__prior__num_steps=2)
    c.train.first_stage = folder and str(folder)
    c.update_from_flattened_dict({key.replace("__", "."): v for key, v in settings.items()})
    return c


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sngan")
    train(sngan(), folder)
    return folder


def generator_of(state):
    return state.params["generator"], state.extra["statistics"]


def assert_same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_second_stage_keeps_the_firsts_generator_and_goes_on_without_its_folder(trained, tmp_path):
    copy = tmp_path / "first"
    shutil.copytree(trained / "export", copy / "export")
    c = refinement(copy)
    train(c, tmp_path / "second")
    expected = generator_of(export.load(trained / "export").state)
    moved = jax.tree.leaves(expected[1])
    assert any(np.any(leaf not in (0.0, 1.0)) for leaf in np.concatenate(moved))  # statistics
    second = export.load(tmp_path / "second" / "export")
    assert_same(generator_of(second.state), expected)
    recorded = json.loads((tmp_path / "second" / "config.json").read_text())["first_stage"]
    weights = (copy / "export" / "params.msgpack").read_bytes()
    assert recorded["sha256"] == hashlib.sha256(weights).hexdigest()[:16]
    shutil.rmtree(copy)
    c.train.num_steps = 4
    assert train(c, tmp_path / "second") == 4
    assert_same(generator_of(export.load(tmp_path / "second" / "export").state), expected)


@pytest.mark.parametrize("part", [".", "export"])
def test_run_or_export_can_be_named(trained, part):
    c = refinement(trained / part)
    found = first_stage.load(c, methods.build(c))
    assert found.origin["step"] == 2 and found.origin["folder"] == str(trained / "export")
    assert_same(generator_of(found.state), generator_of(export.load(trained / "export").state))


def test_other_settings_are_named(trained):
    c = refinement(trained, model__generator__hidden=(5, 5), model__latent_sizes=(7,))
    message = (
        r"does not fit: model.latent_sizes is \(16,\) there and \(7,\) here; "
        r"model.generator.hidden is \(4, 4\) there and \(5, 5\) here; use that model's"
    )
    with pytest.raises(ConfigError, match=message):
        first_stage.load(c, methods.build(c))


def test_generator_of_another_data_set_is_refused(trained):
    c = refinement(trained, data__name="npz:elsewhere.npz")
    with pytest.raises(ConfigError, match="data.name is digits there and npz:elsewhere.npz here"):
        first_stage.load(c, methods.build(c))


def test_run_goes_on_with_its_own_first_stage_only(trained, tmp_path):
    train(refinement(trained), tmp_path / "second")
    other = refinement(trained / "export", train__num_steps=4)
    with pytest.raises(ConfigError, match="other settings .train.first_stage: .* → .*export"):
        train(other, tmp_path / "second")
    first = json.loads((tmp_path / "second" / "config.json").read_text())["first_stage"]
    assert train(refinement(trained, train__num_steps=4), tmp_path / "second") == 4
    assert json.loads((tmp_path / "second" / "config.json").read_text())["first_stage"] == first


def test_folders_without_an_export(tmp_path):
    c = refinement(tmp_path / "nothing")
    with pytest.raises(DataError, match="nothing', but there is no such folder; name the workdir"):
        first_stage.load(c, methods.build(c))
    c = refinement(tmp_path)
    with pytest.raises(DataError, match="there is no export in"):
        first_stage.load(c, methods.build(c))
    unfinished = tmp_path / "unfinished"
    (unfinished / "checkpoints").mkdir(parents=True)
    (unfinished / "config.json").write_text("{}")
    c = refinement(unfinished)
    with pytest.raises(DataError, match="a run without an export; finish its training first"):
        first_stage.load(c, methods.build(c))


def test_run_that_needs_a_first_stage_says_so_before_it_begins(tmp_path):
    with pytest.raises(ConfigError, match="takes its generator from another run; name that run's"):
        train(refinement(), tmp_path / "second")
    assert not (tmp_path / "second").exists()


def test_a_refused_run_leaves_no_folder_and_takes_none_away(tmp_path):
    c = refinement(tmp_path / "nothing")
    with pytest.raises(DataError, match="no such folder"):
        train(c, tmp_path / "second")
    assert not (tmp_path / "second").exists()
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "notes.txt").touch()
    with pytest.raises(DataError, match="no such folder"):
        train(c, tmp_path / "second")
    assert (tmp_path / "second" / "notes.txt").exists()


def test_run_that_builds_on_none_refuses_one(tmp_path):
    c = sngan(train__first_stage="runs/x")
    with pytest.raises(ConfigError, match="'runs/x', but method 'sngan' builds on no other run"):
        train(c, tmp_path / "run")


def test_state_without_a_first_stage_has_the_same_shapes(trained):
    """What checkpoints of a second stage are read into."""
    c = refinement(trained)
    c.data.num_examples = 100
    method = methods.build(c)
    batch = {"image": jnp.zeros((2, 8, 8, 1)), "index": jnp.arange(2)}
    first = first_stage.load(c, method).state
    shapes = [
        jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), jax.eval_shape(method.init, *arguments))
        for arguments in ((jax.random.key(0), batch), (jax.random.key(0), batch, first))
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("stage", [stages.joint, stages.diffusion])
def test_energies_on_a_backbone_go_on_and_sample_without_its_folder(tmp_path, stage):
    def settings():
        c = tiny_config()
        base.without_energy(c)
        c.train.warmup_steps = 0
        c.train.num_steps = c.train.checkpoint_every = c.train.log_every = 2
        c.train.image_every = 2
        return c

    train(settings(), tmp_path / "first")
    c = settings()
    stage(c)
    c.sampler.prior.num_steps = 2
    c.train.first_stage = str(tmp_path / "first")
    train(c, tmp_path / "second")
    first = export.load(tmp_path / "first" / "export").state
    shutil.rmtree(tmp_path / "first")
    c.train.num_steps = 4
    assert train(c, tmp_path / "second") == 4
    second = export.load(tmp_path / "second" / "export")
    assert set(second.state.params) == {*first.params, "energy"}
    for group in first.params:
        assert_same(second.state.params[group], first.params[group])
    samples = second.sample(jax.random.key(0), 3)
    assert samples.images.shape == (3, 8, 8, 1) and np.isfinite(samples.images).all()
    assert np.any(samples.images != second.sample(jax.random.key(0), 3, prior="gaussian").images)


def test_a_backbone_with_other_latents_is_named(tmp_path):
    c = tiny_config()
    base.without_energy(c)
    c.train.warmup_steps = 0
    c.train.num_steps = c.train.checkpoint_every = c.train.log_every = c.train.image_every = 1
    train(c, tmp_path)
    stages.joint(c)
    c.model.latent_sizes, c.train.first_stage = (5, 2), str(tmp_path)
    with pytest.raises(ConfigError, match=r"latent_sizes is \(4, 2\) there and \(5, 2\) here; use"):
        first_stage.load(c, methods.build(c))
