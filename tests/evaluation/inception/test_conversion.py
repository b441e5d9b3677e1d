"""pytorch-fid's file to ours: folding, names, the command."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ebm_jax.errors import DataError
from ebm_jax.evaluation.inception.__main__ import main
from ebm_jax.evaluation.inception.conversion import MODULES, convert
from ebm_jax.evaluation.inception.layers import conv
from ebm_jax.evaluation.inception.network import TAPS, shapes
from ebm_jax.evaluation.inception.weights import load_weights
from tests.evaluation.inception.torch_files import state_dict, write_zip


@pytest.fixture(scope="module")
def tensors():
    """A state dict of the full architecture; small random numbers in three layers, else zeros."""
    rng = np.random.default_rng(0)
    found = {}
    for layer, module in MODULES.items():
        height, width, inputs, outputs = shapes(list(TAPS))[f"{layer}/kernel"]
        filled = layer in ("conv", "mixed_4_tower_1_conv_2", "mixed_10_tower_mixed_conv_1")
        draw = rng.normal if filled else (lambda size: np.zeros(size))
        found[f"{module}.conv.weight"] = draw(size=(outputs, inputs, height, width))
        for name in ("weight", "bias", "running_mean"):
            found[f"{module}.bn.{name}"] = draw(size=outputs)
        found[f"{module}.bn.running_var"] = np.abs(draw(size=outputs))
        found[f"{module}.bn.num_batches_tracked"] = np.array(0)
    found["fc.weight"], found["fc.bias"] = rng.normal(size=(1008, 2048)), np.ones(1008)
    return {
        name: value.astype(np.float32 if value.ndim else np.int64) for name, value in found.items()
    }


def test_every_layer_has_one_source(tensors):
    converted = convert(tensors)
    assert {name: value.shape for name, value in converted.items()} == shapes(list(TAPS))
    assert {value.dtype for value in converted.values()} == {np.dtype(np.float32)}
    assert len(set(MODULES.values())) == len(MODULES) == 94


def test_folded_convolution_is_convolution_and_batch_norm(tensors):
    """The layer as PyTorch computes it in evaluation: convolve, normalise, scale, shift, relu."""
    x = np.random.default_rng(1).normal(size=(1, 9, 9, 3)).astype(np.float32)
    part = {
        name.rpartition(".")[2]: tensors[f"Conv2d_1a_3x3.bn.{name}"]
        for name in ("weight", "bias", "running_mean", "running_var")
    }
    y = jax.lax.conv_general_dilated(
        x.transpose(0, 3, 1, 2), tensors["Conv2d_1a_3x3.conv.weight"], (2, 2), "VALID"
    )  # NCHW, OIHW
    by_channel = {name: value.reshape(1, -1, 1, 1) for name, value in part.items()}
    y = (y - by_channel["running_mean"]) / np.sqrt(by_channel["running_var"] + 0.001)
    y = np.maximum(y * by_channel["weight"] + by_channel["bias"], 0)
    converted = convert(tensors)
    got = conv(x, (jnp.asarray(converted["conv/kernel"]), converted["conv/bias"]), 2, "VALID")
    np.testing.assert_allclose(np.asarray(got).transpose(0, 3, 1, 2), y, rtol=2e-4, atol=2e-4)


def test_names_of_the_towers(tensors):
    """The table of the two networks' names, checked where they are easiest to mix up."""
    converted = convert(tensors)
    filled = {name.rpartition("/")[0] for name, value in converted.items() if value.any()}
    assert filled == {"conv", "mixed_4_tower_1_conv_2", "mixed_10_tower_mixed_conv_1", "softmax"}
    assert MODULES["mixed_4_tower_1_conv_2"] == "Mixed_6b.branch7x7dbl_3"
    assert MODULES["mixed_10_tower_mixed_conv_1"] == "Mixed_7c.branch3x3_2b"
    assert MODULES["mixed_8_tower_1_conv_3"] == "Mixed_7a.branch7x7x3_4"
    np.testing.assert_array_equal(converted["softmax/kernel"], tensors["fc.weight"].T)


def test_missing_and_misshapen_tensors(tensors):
    lacking = {
        name: value for name, value in tensors.items() if name != "Mixed_6a.branch3x3.bn.bias"
    }
    with pytest.raises(DataError, match="has no tensor Mixed_6a.branch3x3.bn.bias"):
        convert(lacking)
    with pytest.raises(DataError, match="softmax/kernel has shape .2048, 1000. instead of"):
        convert(tensors | {"fc.weight": tensors["fc.weight"][:1000]})


def test_command(tensors, tmp_path, capsys):
    source, out = tmp_path / "public.pth", tmp_path / "made" / "inception.npz"
    write_zip(source, *state_dict(tensors))
    assert main(["convert", str(source), "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert digest in printed and "189 arrays" in printed and "0 missing" in printed
    assert "mixed_10_tower_mixed_conv_1/kernel   3×1×384×384" in printed
    found = load_weights(list(TAPS), out)
    np.testing.assert_array_equal(found.params["conv"]["kernel"], convert(tensors)["conv/kernel"])
    assert [path.name for path in out.parent.iterdir()] == ["inception.npz"]
    renamed = source.rename(tmp_path / "pt_inception-2015-12-05-00000000.pth")
    assert main(["convert", str(renamed), "--out", str(tmp_path / "other.npz")]) == 3
    assert "its name says 00000000" in capsys.readouterr().err
    assert not (tmp_path / "other.npz").exists()


def test_command_without_a_file(tmp_path, capsys):
    assert main(["convert", str(tmp_path / "none.pth")]) == 3
    assert "error: there is no file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
