"""Every config builds its method, full and quick, and the paper's model has the paper's size."""

import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from ebm_jax import methods
from ebm_jax.measures import MEASURES
from ebm_jax.validation import validate

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = sorted(p for p in (ROOT / "configs").glob("*_*.py") if p.stem != "__init__")


def get(path, *variant):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*variant)


def first_step(c):
    """(method, its init, a key, a batch)."""
    c.data.num_examples = 1000
    side = c.data.image_size
    size = c.gan.discriminator_steps if "gan" in c else 2
    batch = {
        "image": jnp.zeros((size, side, side, c.data.channels)),
        "label": jnp.zeros(size, jnp.int32),
        "index": jnp.arange(size),
    }
    if "attributes" in c.data:
        batch["attributes"] = jnp.zeros((size, len(c.data.attributes)), jnp.int32)
        c.data.attribute_edges = tuple(
            (0.0,) * (count - 1) if name in MEASURES else () for name, count in c.data.attributes
        )
    method = methods.build(c)
    return method, method.init, jax.random.key(0), batch


def state_shapes(c):
    method, init, key, batch = first_step(c)
    state = jax.eval_shape(init, key, batch)
    return method, state, jax.eval_shape(method.update, state, batch, jax.random.key(0))


# Of these a step is traced, of the other deep models the init.
DEEP_STEPS = ("cifar10_diffusion", "celeb_hq_two_stage")


def _is_deep(path):
    """Whether tracing a step takes half a minute: models of fifteen groups and more."""
    return len(get(path).model.latent_sizes) >= 15


VARIANTS = [
    pytest.param(path, variant, id=f"{path.stem}:{variant}", marks=[pytest.mark.slow] * deep)
    for path in CONFIGS
    for deep in [_is_deep(path)]
    for variant in ("full", "quick")
    if variant == "full" or not deep  # the same nets once more
]


@pytest.mark.parametrize("path, variant", VARIANTS)
def test_config_builds(path, variant):
    c = get(path, variant)
    validate(c)
    if _is_deep(path) and path.stem not in DEEP_STEPS:
        assert jax.eval_shape(*first_step(c)[1:])
        return
    _, state, (after, metrics) = state_shapes(c)
    same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), state, after)
    assert all(jax.tree.leaves(same))
    assert all(m.shape == () for m in metrics.values())
    if variant == "quick":
        assert c.train.num_steps <= 100
        assert min(c.eval.num_samples, c.eval.fid_reference) > c.eval.fid_features
        assert c.eval.last_checkpoints <= c.train.num_steps / c.train.checkpoint_every


@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_config_says_how_to_run_it(path):
    command = f"python -m ebm_jax.main --config configs/{path.name} --workdir runs/{path.stem}"
    assert command in path.read_text().replace(" \\\\\n", " ")  # lines may be continued


@pytest.mark.parametrize("prefix, latents", [("equal", 12), ("equal_cifar10", 64)])
def test_models_compared_on_equal_terms(prefix, latents):
    """As many latents and parameters; the same data, likelihood, chains and rates of the nets."""
    sizes, shared = {}, set()
    for name in ("vae", "lebm", "joint", "ladder"):
        c = get(ROOT / "configs" / f"{prefix}_{name}.py")
        assert sum(c.model.latent_sizes) == latents
        _, state, _ = state_shapes(c)
        sizes[name] = sum(leaf.size for leaf in jax.tree.leaves(state.params))
        parts = (c.data, c.model.likelihood, c.sampler.prior, c.optim.generator, c.optim.inference)
        shared.add("".join(part.to_json() for part in parts))
    assert max(sizes.values()) < 1.01 * min(sizes.values())
    assert len(shared) == 1


def test_unknown_variant_is_refused():
    with pytest.raises(ValueError, match="variant 'slow' is unknown"):
        get(CONFIGS[0], "slow")


def test_cifar10_model_is_the_papers():
    c = get(ROOT / "configs" / "cifar10_joint.py")
    _, state, _ = state_shapes(c)

    def count(tree):
        return sum(leaf.size for leaf in jax.tree.leaves(tree))

    convolutions = 128 * 1024 * 64 + 1024 * 512 * 16 + 512 * 256 * 16 + 256 * 3 * 9
    assert count(state.params["generator"]) == convolutions + 1024 + 512 + 256 + 3  # 18.9 M
    widths = (100, 200, 200, 200, 200, 256)
    linear = sum(a * b + b for a, b in zip(widths, widths[1:], strict=False))
    assert count(state.params["prior"]) == linear
    f1, f2 = state.params["energy"]["layer_1"], state.params["energy"]["layer_2"]
    assert count(f1) == 128 * 200 + 200 + 2 * (200 * 200 + 200) + 200 + 1
    assert count(f2) == 100 * 100 + 100 + 100 * 100 + 100 + 100 + 1
    assert "inference" not in state.params  # posterior by Langevin
    assert (c.sampler.posterior.num_steps, c.sampler.posterior.step_size) == (40, 0.1)
    assert (c.sampler.prior.num_steps, c.sampler.prior.step_size) == (60, 0.4)


@pytest.mark.parametrize(
    "name, batch, rate, chain, variance, steps",
    [
        ("cifar10_two_stage", 64, 1e-4, (20, 40), 4e-5, 5_000),
        ("celeb_a_two_stage", 64, 1e-4, (30, 40), 4e-5, 16_000),  # LSUN Church's
        ("celeb_hq_two_stage", 4, 2e-5, (10, 10), 1e-5, 6_500),
        ("cifar10_diffusion", 50, 4e-5, (50, None), 3e-5, None),
        ("celeb_hq_diffusion", 4, 4e-5, (30, None), 2e-5, None),
    ],
)
def test_energies_on_deep_models_have_the_papers_settings(
    name, batch, rate, chain, variance, steps
):
    """CVPR 2023 (two stages), ICML 2024: batch, Adam, K in training and when sampling, η or b²."""
    c = get(ROOT / "configs" / f"{name}.py")
    adam = c.optim.energy
    assert (c.data.batch_size, adam.learning_rate) == (batch, rate)
    assert (adam.b1, adam.b2, adam.l2) == (0.99, 0.999, 3e-5)
    assert (c.sampler.prior.num_steps, c.eval.prior_steps) == chain
    assert c.sampler.prior.step_size**2 == pytest.approx(variance)
    if c.method.name == "diffusion":
        assert (c.diffusion.num_steps, c.model.energy.spectral_norm) == (3, True)
        return
    assert c.train.num_steps == steps
    assert (c.model.energy.channels, c.model.energy.hidden) == (64, (200,))


@pytest.mark.parametrize(
    "name, z_step, step, temperature, taus, steps, noise, rate, length, factor",
    [
        ("cifar10_hat", 0.0, 5e-4, 1e-8, (0, None), (50, 125), 1e-3, 1e-4, 50_000, 2.0),
        ("celeb_a_hat", 0.0, 5e-4, 1e-8, (0, None), (50, 100), 1e-3, 1e-4, 50_000, 2.0),
        ("imagenet_hat", 0.0, 5e-4, 1e-8, (0, None), (50, 150), 1e-3, 1e-4, 300_000, 2.0),
        ("cifar10_refine", 5e-3, 1e-4, 1e-3, (0, 8), (250, 350), 1e-3, 1e-5, 25_000, 1.0),
        ("celeb_a_refine", 5e-3, 1e-4, 1e-6, (0, 0), (100, 125), 1e-3, 1e-5, 25_000, 1.0),
        ("cifar10_retrofit", 1e-3, 5e-4, 1e-3, (50, None), (100, 125), 1e-2, 1e-4, 25_000, 2.0),
    ],
)
def test_hat_ebms_settings_are_the_papers(
    name, z_step, step, temperature, taus, steps, noise, rate, length, factor
):
    """Chains, temperature, noise and rates of NeurIPS 2022, training / evaluation."""
    c = get(ROOT / "configs" / f"{name}.py")
    assert (c.hat.z_step_size, c.sampler.prior.step_size, c.sampler.prior.clip) == (
        z_step, step, 2.5,
    )  # fmt: skip
    assert (c.hat.temperature, (c.hat.tau, c.hat.eval_tau)) == (temperature, taus)
    assert (c.sampler.prior.num_steps, c.eval.prior_steps) == steps
    assert (c.hat.data_noise, c.optim.energy.learning_rate) == (noise, rate)
    assert (c.train.num_steps, c.data.batch_size, c.model.generator.out_factor) == (
        length, 128, factor,
    )  # fmt: skip
    assert (c.hat.bank_size, c.hat.generator_weight) == (10_000, 1_000)


@pytest.mark.parametrize(
    "name, critic, generator",
    [
        ("cifar10_hat", 4.2, 4.3),
        ("celeb_a_hat", 19.5, 12.2),
        ("imagenet_hat", 38.4, 32.2),  # the paper: 32
        ("imagenet_hat_scaled", 153.7, 124.3),  # twice as wide
        ("cifar10_refine", 4.2, 4.3),
        ("celeb_a_refine", 19.5, 12.2),
        ("cifar10_retrofit", 4.2, 4.2),
        ("cifar10_sngan", 1.1, 4.3),
        ("celeb_a_sngan", 19.5, 12.2),
        ("cifar10_autoencoder", 4.2, 4.2),
    ],
)
def test_hat_ebms_nets_are_of_the_papers_sizes(name, critic, generator):
    """Millions of parameters, to the digits given; the encoder is in the critic's place."""
    _, state, _ = state_shapes(get(ROOT / "configs" / f"{name}.py"))
    sizes = {
        group: round(sum(leaf.size for leaf in jax.tree.leaves(tree)) / 1e6, 1)
        for group, tree in state.params.items()
    }
    assert sizes.pop("generator") == generator
    assert list(sizes.values()) == [critic]


def test_first_stages_of_hat_ebm_are_the_papers():
    gan, auto = (get(ROOT / "configs" / f"cifar10_{name}.py") for name in ("sngan", "autoencoder"))
    assert (gan.gan.discriminator_steps, gan.data.batch_size) == (5, 5 * 64)
    for group in ("generator", "discriminator"):
        optimiser = gan.optim[group]
        assert (optimiser.learning_rate, optimiser.b1, optimiser.b2) == (2e-4, 0.0, 0.9)
        assert optimiser.linear_decay_steps == gan.train.num_steps
    assert (auto.autoencoder.latent_noise, auto.autoencoder.weight) == (0.02, 1_000)
    assert {auto.optim[group].learning_rate for group in ("generator", "inference")} == {1e-4}
    assert auto.model.latent_sizes == (16 * 16,)


@pytest.mark.parametrize(
    "model, baseline",
    [
        ("digits_joint", "digits_hvae"),
        ("mnist_joint", "mnist_hvae"),
        ("digits_joint_mcmc", "digits_abp"),
        ("mnist_ladder", "mnist_lvae"),
        ("fashion_mnist_ladder", "fashion_mnist_lvae"),
        ("mnist01_ladder", "mnist01_lvae"),
    ],
)
def test_baseline_shares_nets_length_and_generator_schedule(model, baseline):
    joint, plain = (get(ROOT / "configs" / f"{name}.py") for name in (model, baseline))
    assert joint.train == plain.train
    assert joint.optim.generator == plain.optim.generator
    assert joint.optim.inference == plain.optim.inference
    _, a, _ = state_shapes(joint)
    _, b, _ = state_shapes(plain)
    assert set(a.params) - set(b.params) == {"energy"}
    for group in b.params:
        same = jax.tree.map(lambda x, y: x.shape == y.shape, a.params[group], b.params[group])
        assert all(jax.tree.leaves(same))
