"""Where weights are looked for, and the sentences when they are not all there."""

import numpy as np
import pytest

from ebm_jax.errors import ConfigError, DataError
from ebm_jax.evaluation.inception import weights
from ebm_jax.evaluation.inception.network import shapes
from tests.evaluation.inception.conftest import made_up


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    monkeypatch.delenv("EBM_JAX_INCEPTION", raising=False)
    monkeypatch.setenv("EBM_JAX_CACHE", str(tmp_path))
    return tmp_path


def test_order_of_the_places(nowhere, monkeypatch):
    default = nowhere / "inception" / "inception.npz"
    default.parent.mkdir()
    for path in (default, nowhere / "named.npz", nowhere / "given.npz"):
        path.write_bytes(b"")
    assert weights.find_weights() == default
    monkeypatch.setenv("EBM_JAX_INCEPTION", str(nowhere / "named.npz"))
    assert weights.find_weights() == nowhere / "named.npz"
    assert weights.find_weights(nowhere / "given.npz") == nowhere / "given.npz"


def test_no_file_says_which_and_how_to_make_it(nowhere, monkeypatch):
    with pytest.raises(DataError) as error:
        weights.load_weights(["64"])
    message = str(error.value)
    assert f"'{nowhere}/inception/inception.npz' (the default place)" in message
    assert "python -m ebm_jax.evaluation.inception convert pt_inception-2015-12-05" in message
    assert error.value.exit_code == 3
    monkeypatch.setenv("EBM_JAX_INCEPTION", "/nowhere.npz")
    with pytest.raises(DataError, match=r"'/nowhere.npz' \(EBM_JAX_INCEPTION\)"):
        weights.load_weights(["64"])  # and not the default place instead


def test_missing_layers_are_named(stem_weights):
    with pytest.raises(DataError) as error:
        weights.load_weights(["192"], stem_weights)
    message = str(error.value)
    assert "have no conv_3, conv_4, which features 192 need" in message
    assert "use features 64, or convert the whole network" in message


def test_one_missing_bias_is_a_missing_layer(tmp_path):
    arrays = made_up(shapes(["64"]))
    del arrays["conv_1/bias"]
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(DataError, match="have no conv_1, which features 64 need; convert the"):
        weights.load_weights(["64"], tmp_path / "w.npz")


def test_fingerprint_is_of_the_layers_that_are_used(tmp_path, stem_weights):
    arrays = made_up(shapes(["64"]))
    np.savez(tmp_path / "more.npz", **arrays, other=np.zeros(3))
    here = weights.load_weights(["64"], stem_weights).fingerprint
    assert weights.load_weights(["64"], tmp_path / "more.npz").fingerprint == here
    arrays["conv/bias"][0] += 1e-3
    np.savez(tmp_path / "changed.npz", **arrays)
    assert weights.load_weights(["64"], tmp_path / "changed.npz").fingerprint != here


@pytest.mark.parametrize("fault", ["shape", "dtype", "nan"])
def test_wrong_arrays(tmp_path, fault):
    arrays = made_up(shapes(["64"]))
    kernel = arrays["conv_2/kernel"]
    bad = {"shape": kernel[:1], "dtype": kernel.astype(int), "nan": kernel * np.nan}
    np.savez(tmp_path / "w.npz", **arrays | {"conv_2/kernel": bad[fault]})
    with pytest.raises(DataError, match="conv_2/kernel of shape .*expected finite floats"):
        weights.load_weights(["64"], tmp_path / "w.npz")


@pytest.mark.parametrize("content", [b"", b"PK no zip", None])
def test_damaged_file(tmp_path, stem_weights, content):
    path = tmp_path / "w.npz"
    path.write_bytes(stem_weights.read_bytes()[:-2000] if content is None else content)
    with pytest.raises(DataError, match="cannot be read .*convert them again"):
        weights.load_weights(["64"], path)
    with pytest.raises(DataError, match="cannot be read"):
        weights.has_taps(["64"], path)


def test_unknown_tap(stem_weights):
    with pytest.raises(ConfigError, match="features are '100'; use one of: 64, 192, 768"):
        weights.load_weights(["100"], stem_weights)
    with pytest.raises(ConfigError, match="features are none"):
        weights.load_weights([], stem_weights)


def test_has_taps(stem_weights):
    assert weights.has_taps(["64"], stem_weights)
    assert not weights.has_taps(["logits"], stem_weights)


def test_the_real_file_lacks_what_the_last_blocks_need(real_weights):
    if weights.has_taps(["logits"], real_weights):
        pytest.skip("the file is complete")
    with pytest.raises(DataError) as error:
        weights.load_weights(["2048"], real_weights)
    assert "mixed_9_tower_1_conv_1" in str(error.value)
    assert "use features 64, 192, 768, 1280, or convert" in str(error.value)
