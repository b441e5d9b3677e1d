"""The benchmarks' bookkeeping, and that what is compared computes the same thing."""

import functools
import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest

from benchmarks import compiling, convolutions, dispatch, products, scaling
from benchmarks import run as command
from benchmarks.report import Row, markdown
from benchmarks.timing import Times, interleaved
from configs import digits_joint, mnist_joint
from ebm_jax.nn import convolution


def test_alternatives_take_turns():
    order = []
    times = interleaved({name: lambda name=name: order.append(name) for name in "abc"}, 3)
    assert order == list("abc" + "abc" + "bca" + "cab")  # the first round does not count
    assert {len(values) for values in times.seconds.values()} == {3}


def test_ratio_is_the_median_over_rounds():
    times = interleaved({"a": lambda: None, "b": lambda: None}, 1)
    times = times._replace(seconds={"a": np.array([2.0, 9, 2]), "b": np.array([1.0, 3, 2])})
    assert times.ratio("a", "b") == 2.0
    assert (times.median("a"), times.best("b")) == (2.0, 1.0)


@pytest.mark.parametrize(
    "changes, missed",
    [
        ({}, []),
        ({"goal": 2.0}, []),
        ({"goal": 2.1}, ["w, batch 4, against x: ratio 2, goal 2.1"]),
        ({"peak_fraction": 0.7, "peak_goal": 0.8}, ["w, batch 4, against x: 0.7 of the matmul"]),
        ({"peak_goal": 0.8}, ["w, batch 4, against x: – of the matmul peak, goal 0.8"]),
        ({"ratio": float("nan"), "goal": 1.0}, ["ratio nan, goal 1.0"]),
    ],
)
def test_missed_goals_are_named(changes, missed):
    row = Row(**{"work": "w", "batch": 4, "against": "x", "ours_s": 1.0, "theirs_s": 2.0} | changes)
    found = row.misses()
    assert len(found) == len(missed)
    assert all(part in sentence for part, sentence in zip(missed, found, strict=True))


def test_table_has_the_columns_that_are_filled():
    text = markdown("T", [Row("w", 4, "x", 0.5, 1.0), Row("v", 8, "y", 0.25)])
    assert text.splitlines()[2] == "| Work | Batch | Against | Ours (ms) | Theirs (ms) | Ratio |"
    assert text.splitlines()[4:] == [
        "| w | 4 | x | 500 | 1e+03 | 2 |",
        "| v | 8 | y | 250 | – | – |",
    ]


@pytest.mark.parametrize("goal, code", [(1.5, 0), (3.0, 1)])
def test_check_fails_below_a_goal(monkeypatch, capsys, tmp_path, goal, code):
    suite = {"toy": ("Toy", lambda repeats: [Row("w", repeats, "x", 1.0, 2.0, goal=goal)])}
    monkeypatch.setattr(command, "SUITES", suite)
    arguments = ["run", "--suite=toy", "--repeats=7", f"--out={tmp_path}", "--check"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert command.main() == code
    (row,) = json.loads((tmp_path / "benchmarks.json").read_text())
    assert (row["work"], row["batch"], row["ratio"], row["goal"]) == ("w", 7, 2.0, goal)
    assert set(row) == {
        *("work", "batch", "against", "ours_s", "theirs_s"),
        *("ratio", "goal", "peak_fraction", "peak_goal", "device"),
        *("per_second", "memory_mib", "compile_s"),
    }
    assert "### Toy" in (tmp_path / "benchmarks.md").read_text()
    assert ("below their goal" in capsys.readouterr().err) == bool(code)


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--suite=speed"], "known: "),
        (["--suite="], "--suite names ''; known: "),
        (["--suite=noise", "--repeats=0"], "--repeats is 0"),
        (["--suite=noise", "--out=/proc/nope"], "--out is '/proc/nope', which cannot be made"),
        (["--suite=convolutions", "--layer=typo"], "--layer is 'typo', which no layer"),
    ],
)
def test_bad_arguments(monkeypatch, capsys, arguments, told):
    monkeypatch.setattr(sys, "argv", ["run", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_check_without_what_is_compared_with_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(command, "has", lambda package: package == "torchebm")
    monkeypatch.setattr(sys, "argv", ["run", "--suite=samplers,deep,noise", "--check"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    assert "--check compares with blackjax, torch, which is not" in capsys.readouterr().err


def test_torch_twin_is_the_same_model():
    """Prior density, generator and their gradients, with the parameters copied over."""
    torch = pytest.importorskip("torch")
    from benchmarks import torch_twins
    from benchmarks.joint import joint_model

    _, parts, params = joint_model(2)
    twin = torch_twins.JointModel()
    torch_twins.load(twin, params)
    rng = np.random.default_rng(0)
    z = tuple(rng.normal(size=(2, size)).astype(np.float32) for size in (128, 100))
    latents = [torch.tensor(leaf, requires_grad=True) for leaf in z]
    images = twin.generator(latents[0][:, :, None, None]).permute(0, 2, 3, 1)
    ours = np.tanh(parts.model.decode(params, z))
    np.testing.assert_allclose(images.detach().numpy(), ours, atol=1e-4)

    def log_prior(z):
        constant = 0.5 * (128 + 100) * np.log(2 * np.pi) * len(z[0])  # which the twin leaves out
        tilted = parts.model.prior(params).log_prob(z) + parts.density.neg_energy(params, z)
        return tilted.sum() + constant

    value, gradient = jax.value_and_grad(log_prior)(z)
    theirs = twin.log_prior(*latents).sum()
    assert float(theirs) == pytest.approx(float(value), rel=1e-4)
    for a, b in zip(torch.autograd.grad(theirs, latents), gradient, strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=1e-3, atol=1e-4)


def test_torch_ladder_is_the_same_model():
    """Generator, inference net and energy of the four-layer ladder, with the parameters copied."""
    torch = pytest.importorskip("torch")
    from benchmarks import torch_ladder
    from configs import svhn_cropped_ladder4
    from ebm_jax.models import energies, ladder

    config = svhn_cropped_ladder4.get_config()
    model = ladder.build(config, 3, with_inference=True)
    key = jax.random.key(0)
    energy = energies.one_for_all(config, model.latent_shapes)
    params = {**model.init(key), "energy": energy.init(key)}
    twin = torch_ladder.LadderModel()
    torch_ladder.load(twin, params)
    rng = np.random.default_rng(0)
    z = tuple(rng.normal(size=(2, size)).astype(np.float32) for size in torch_ladder.SIZES)
    latents = tuple(map(torch.tensor, z))
    images = twin.generator(latents).permute(0, 2, 3, 1).detach().numpy()
    np.testing.assert_allclose(images, np.tanh(model.decode(params, z)), atol=1e-5)
    x = rng.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    zeros = tuple(np.zeros_like(layer) for layer in z)
    means, _ = model.infer(params, x, zeros)
    heads = twin.inference(torch.tensor(x).permute(0, 3, 1, 2))
    for (mean, _), ours in zip(heads, means, strict=True):
        np.testing.assert_allclose(mean.detach().numpy(), ours, atol=1e-5)
    kernels = [layer.weight for layer in twin.energy.layers]  # as they are: ours get theirs before
    theirs = twin.energy(latents, kernels).detach().numpy()
    np.testing.assert_allclose(theirs, energy.terms(params["energy"], z)[0], atol=1e-5)


def test_torch_deep_is_the_same_density():
    """The tilt of the u-space density of the joint EBM on the deep model, and its gradient."""
    torch = pytest.importorskip("torch")
    from benchmarks import deep, torch_deep

    config, parts, params = deep.deep_model()
    rng = np.random.default_rng(0)
    for group, tree in params.items():  # so that no bias is 0, no variance 1, and layers matter
        draw = rng.uniform if group == "statistics" else rng.normal
        params[group] = jax.tree.map(
            lambda leaf, draw=draw: leaf + 0.2 * draw(size=leaf.shape).astype(np.float32), tree
        )
    u = tuple(rng.normal(size=(2, *s)).astype(np.float32) for s in parts.model.latent_shapes)

    @jax.jit
    def ours(u):
        return parts.density.neg_energy(params, parts.model.prior(params).to_z(u)[0]).sum()

    value, gradient = jax.value_and_grad(ours)(u)
    density = torch_deep.Density(params, config.model.prior.sigma_floor)
    maps = [torch.tensor(leaf.transpose(0, 3, 1, 2)).requires_grad_() for leaf in u]
    theirs = density(*maps).sum()
    base = -0.5 * sum((leaf**2).sum() for leaf in u)
    assert theirs.item() == pytest.approx(float(value) + base, rel=1e-5)
    for a, b, u_i in zip(torch.autograd.grad(theirs, maps), gradient, u, strict=True):
        tilt = a.numpy().transpose(0, 2, 3, 1) + u_i
        np.testing.assert_allclose(tilt, b, atol=1e-4 * np.abs(b).max())


@pytest.mark.parametrize("clip", [1e-2, 1e3], ids=["clipped", "free"])
def test_torch_hat_is_the_same_energy_and_chain(clip):
    """H and, without noise, where its chain ends: in float64, which crosses no ReLU's kink."""
    torch = pytest.importorskip("torch")
    from benchmarks import hat as suite
    from benchmarks import torch_hat
    from configs import cifar10_hat

    config = cifar10_hat.get_config()
    config.sampler.prior.clip = clip
    params, image, chain = suite._chain(config, noise_scale=0.0)
    energy = torch_hat.Energy()
    torch_hat.load(energy, params)
    energy, x = energy.double(), torch.tensor(np.array(image)).double().permute(0, 3, 1, 2)
    ours = suite.hat.build_critic(config, "energy", pool="mean").apply(params, image)
    np.testing.assert_allclose(energy(x).detach().numpy(), ours, atol=1e-4)
    settings = (config.sampler.prior.step_size, config.hat.temperature, clip, 0.0)
    theirs = torch_hat.chain(energy, x, suite.STEPS, *settings).permute(0, 2, 3, 1).numpy()
    found = np.asarray(chain())
    norms = np.linalg.norm(found.reshape(len(found), -1), axis=1)
    assert (norms > 0.05).all() if clip > 1 else (norms < 5 * 1e-2 + 1e-4).all()
    np.testing.assert_allclose(found, theirs, atol=5e-3 * np.abs(found).max())  # our kinks


def test_products_of_hats_chain_are_those_of_its_energy():
    """XLA counts as many operations, but for the taps that fall on the padding."""
    from benchmarks import hat as suite
    from configs import cifar10_hat

    critic = suite.hat.build_critic(cifar10_hat.get_config(), "energy", pool="mean")
    params = jax.eval_shape(critic.init, jax.random.key(0))
    x = jax.ShapeDtypeStruct((suite.BATCH, 32, 32, 3), np.float32)

    def total(params, x):
        return critic.apply(params, x).sum()

    lowered = jax.jit(jax.grad(total, argnums=1)).lower(params, x)
    counted = sum(2 * m * k * n for m, k, n in suite._products())
    assert 1.0 < counted / lowered.cost_analysis()["flops"] < 1.2


def test_a_layer_s_rows_go_into_the_table(monkeypatch, tmp_path):
    """New ones replace older ones of the same layer, and layers that are gone leave it."""
    case = convolutions.cases()[0]
    row = {"kind": "transposed", "pass": "forward", "shape": [256, 2, 3, 16]}
    old = [
        row | {"work": case.work, "ms": {"lax": 1.0}},
        row | {"work": case.work, "pass": "input", "ms": {"lax": 2.0}},
        row | {"work": "a layer that no model has", "ms": {"lax": 3.0}},
    ]
    monkeypatch.setattr(convolutions, "TABLE", tmp_path / "times.json")
    monkeypatch.setattr(convolutions, "measured_times", functools.cache(lambda: old))
    new = old[0] | {"ms": {"lax": 4.0, "phases": 0.5}}
    convolutions.write([new])
    assert json.loads(convolutions.TABLE.read_text())["rows"] == [old[1], new]


def test_costs_are_per_example(monkeypatch):
    """Twice the batch in twice the time is a ratio of 1; the compiled step says what it needs."""
    monkeypatch.setattr(scaling, "AXES", (("batch", "data.batch_size", (2, 4)),))
    monkeypatch.setattr(scaling, "_on_devices", lambda repeats: [])
    seconds = {"2": np.array([1.0, 1.0]), "4": np.array([2.0, 4.0])}
    timed = {}

    def interleaved(calls, repeats):
        timed.update({name: call() for name, call in calls.items()})
        return Times(seconds)

    monkeypatch.setattr(scaling, "interleaved", interleaved)
    two, four = scaling.run(1)
    assert (two.ratio, four.ratio) == (1.0, 0.75)  # 4 examples in 2 and in 4 s
    assert (two.per_second, four.per_second) == (2.0, 4 / 3)
    assert two.memory_mib > 0 and two.compile_s > 0
    assert all(int(state.train.step[0]) == 1 for state in timed.values())  # a step was taken


@pytest.mark.slow
def test_a_suite_runs_from_the_command_line(tmp_path):
    """One that needs no other library and compiles little."""
    command = [sys.executable, "-m", "benchmarks.run", "--suite=noise", "--repeats=1"]
    done = subprocess.run([*command, f"--out={tmp_path}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "benchmarks.json").read_text())
    assert all(row["ours_s"] > 0 for row in rows)
    assert all("noise of 60" in row["work"] for row in rows)
    assert {row["batch"] for row in rows} == {100, 1000}


@pytest.mark.slow
def test_a_full_cache_spares_compilation():
    cold, warm = compiling._quickstart()
    assert "cold" in cold.work and "warm" in warm.work
    assert 0 < warm.ours_s < cold.ours_s


@pytest.mark.slow
def test_a_generator_is_compiled_both_ways(monkeypatch):
    """As the layers choose and, in turn, with plain lax alone."""
    config = mnist_joint.get_config()
    config.model.latent_sizes = (4, 2)
    config.model.generator.kind = "conv"
    config.model.generator.hidden = (8, 4, 2)
    chosen = []
    choose = convolution.choose

    def noted(*given):
        chosen.append(choose(*given))
        return chosen[-1]

    monkeypatch.setattr(convolution, "choose", noted)
    row = compiling._generator("small", config, 2, 1)
    assert chosen  # plain lax is not asked for
    assert re.search(r"plain needs \d+ MiB", row.work)
    assert row.ours_s > 0 and row.theirs_s > 0


def test_every_part_of_a_suite_is_in_its_rows(monkeypatch):
    """The settings themselves, without the minutes that compiling them takes."""
    seen = []
    monkeypatch.setattr(compiling, "_quickstart", lambda: ["cold", "warm"])
    monkeypatch.setattr(compiling, "_generator", lambda name, _, batch, __: f"{name} {batch}")
    assert compiling.run(1) == ["cold", "warm", "cifar10 4", "cifar10 20", "mnist conv 128"]
    monkeypatch.setattr(dispatch, "_host_overhead", lambda name, config, _: [name])
    assert dispatch.run(1) == ["digits", "mnist"]
    monkeypatch.setattr(scaling, "_on_devices", lambda _: [])
    monkeypatch.setattr(
        scaling, "_step", lambda changes: (seen.append(changes) or (lambda: None), (8, 1.0, 1.0))
    )
    assert len(scaling.run(1)) == sum(len(values) for _, _, values in scaling.AXES)
    for changes in seen:  # every setting is one of the config's
        digits_joint.get_config().update_from_flattened_dict(changes)


@pytest.mark.slow
def test_host_overhead_is_told_against_the_largest_dispatch():
    config = digits_joint.get_config()
    config.sampler.prior.num_steps = 2
    config.train.steps_per_dispatch = 5
    single, own = dispatch._host_overhead("small", config, 1)
    assert "1 per dispatch" in single.work and "5 per dispatch" in own.work
    assert (single.goal, own.goal) == (None, 1.0)
    assert own.against == "20 per dispatch + 10 %"
    assert single.theirs_s == own.theirs_s
    assert own.ratio == pytest.approx(own.theirs_s / own.ours_s)


@pytest.mark.slow
def test_devices_are_timed_in_processes_of_their_own():
    one, two = scaling._on_devices(1)
    assert "on 1 device" in one.work and "on 2 devices" in two.work
    assert one.theirs_s == two.theirs_s == one.ours_s
    assert one.ours_s > 0 and two.ours_s > 0


def test_products_of_the_ladder_are_those_of_its_nets():
    """XLA counts as many operations, but for the taps that fall on the padding."""
    from benchmarks import ladder as suite
    from configs import svhn_cropped_ladder
    from ebm_jax.models import ladder

    model = ladder.build(svhn_cropped_ladder.get_config(), 3, with_inference=True)
    params = jax.eval_shape(model.init, jax.random.key(0))
    z = tuple(jax.ShapeDtypeStruct((suite.BATCH, 10), np.float32) for _ in range(5))
    x = jax.ShapeDtypeStruct((suite.BATCH, 32, 32, 3), np.float32)

    def total(params, z, x):
        return model.decode(params, z).sum() + sum(h.sum() for h in model.infer(params, x, z)[0])

    lowered = jax.jit(jax.grad(total, argnums=(0, 1))).lower(params, z, x)
    counted = sum(2 * m * k * n for m, k, n in suite._products())
    assert 1.0 < counted / lowered.cost_analysis()["flops"] < 1.2


def test_passes_of_a_layer():
    assert products.passes((8, 3, 5)) == [(8, 3, 5), (8, 5, 3), (3, 8, 5)]
    assert products.passes((8, 3, 5), to_input=False) == [(8, 3, 5), (3, 8, 5)]
    (result,) = products.matmuls([(2, (4, 3, 5))])()
    np.testing.assert_allclose(result[1:], np.ones((3, 5)), rtol=1e-5)
