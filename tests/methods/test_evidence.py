"""The joint method's Evidence, on nets with random energies."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax import methods
from ebm_jax.inference import on_all_devices
from ebm_jax.methods.evidence import temperatures
from tests.test_train import tiny_config
from tests.test_training_step import BATCH


def joint(**settings):
    config = tiny_config()
    config.model.energy.zero_init = False
    config.update_from_flattened_dict({k.replace("__", "."): v for k, v in settings.items()})
    method = methods.build(config)
    state = methods.inference_state(method.init(jax.random.key(0), BATCH))
    return config, method, state


def test_weights_of_q_and_the_tilt_are_the_same_integral():
    """log w of q's samples: log p(x|z) + F(z) of `tilt`, plus log p_β − log q."""
    _, method, state = joint(model__likelihood__sigma=3.0)  # so that both are close to p(z|x)
    # q(z|x) = N(0.2, e^0.4), p_β = N(0, 1.01²): unequal, and none with weights of heavy tails.
    flat = {
        "inference": lambda p: jnp.full_like(p, 0.2 if p.ndim == 1 else 0.0),
        "prior": jnp.zeros_like,
    }
    groups = {name: jax.tree.map(f, state.params[name]) for name, f in flat.items()}
    state = state._replace(params={**state.params, **groups})
    index, key = np.arange(4), jax.random.key(3)
    weights = method.evidence.log_weights(state, BATCH["image"], key, index, 3)
    assert weights.shape == (3, 4)
    later = method.evidence.log_weights(state, BATCH["image"], key, index, 1, 2)
    np.testing.assert_allclose(later[0], weights[2], rtol=1e-5)
    # Importance sampling from the prior and from q agree on log ∫ p(x|z) exp[F] p_β dz.
    samples = np.asarray(method.evidence.log_weights(state, BATCH["image"], key, index, 5000))
    from_q = np.asarray(jax.nn.logsumexp(samples, axis=0)) - np.log(5000)
    images = np.repeat(BATCH["image"], 5000, 0)
    one = method.evidence.forward(
        state, images, key, np.arange(20_000), np.array([0.0, 1.0]), np.array([0.1])
    )
    by_image = np.asarray(one.log_weights).reshape(4, 5000)
    from_prior = np.asarray(jax.nn.logsumexp(by_image, axis=1)) - np.log(5000)
    error = np.hypot(
        *(
            np.std(np.exp(w - m), axis=0) / np.sqrt(5000)
            for w, m in ((samples, from_q), (by_image.T, from_prior))
        )
    )
    assert np.all(error < 0.05)
    assert np.all(np.abs(from_q - from_prior) < 5 * error)


def test_simulated_images_are_not_clipped():
    config, method, state = joint(model__likelihood__sigma=2.0)
    u = (jnp.zeros((500, 4)), jnp.zeros((500, 2)))
    x = np.asarray(method.evidence.simulate(state, u, jax.random.key(0), np.arange(500)))
    assert x.shape == (500, 8, 8, 1) and np.abs(x).max() > 3
    assert x.std(0).mean() == pytest.approx(2.0, rel=0.05)
    assert method.evidence.log_bin == pytest.approx(np.log(2 / 255))


def test_without_an_inference_net_there_are_no_weights():
    _, method, _ = joint(method__learning="mcmc", eval__posterior="langevin")
    assert method.evidence.log_weights is None
    assert methods.compiled(method).evidence.log_weights is None
    assert on_all_devices(method).evidence.log_weights is None


def test_all_devices_give_what_one_gives():
    _, method, state = joint()
    one, many = methods.compiled(method).evidence, on_all_devices(method).evidence
    assert jax.device_count() == 2
    key, index, x = jax.random.key(0), np.arange(3), BATCH["image"][:3]
    betas, steps = np.asarray(temperatures(5)), np.full(5, 0.05, np.float32)

    def close(a, b):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), a, b)

    run = one.forward(state, x, key, index, betas, steps)
    close(many.forward(state, x, key, index, betas, steps), run)
    back = one.reverse(state, None, run.position, key, index, betas, steps)
    close(many.reverse(state, None, run.position, key, index, betas, steps), back)
    close(many.log_weights(state, x, key, index, 4, 1), one.log_weights(state, x, key, index, 4, 1))
