"""Reading PyTorch's files: exact tensors, and a refusal of everything else."""

import numpy as np
import pytest

from ebm_jax.errors import DataError
from ebm_jax.evaluation.inception.torch_file import read_state_dict
from tests.evaluation.inception.torch_files import (
    Call,
    Global,
    state_dict,
    tensor,
    write_older,
    write_zip,
)

WRITERS = pytest.mark.parametrize("write", [write_zip, write_older])


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return {
        "conv.weight": rng.normal(size=(4, 3, 2, 2)).astype(np.float32),
        "bn.running_var": rng.uniform(size=4),
        "half": rng.normal(size=5).astype(np.float16),
        "bn.num_batches_tracked": np.array(7),
        "empty": np.zeros((0, 3), np.float32),
    }


@WRITERS
def test_tensors_are_exact(tmp_path, arrays, write):
    write(tmp_path / "f.pth", *state_dict(arrays))
    found = read_state_dict(tmp_path / "f.pth")
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


@WRITERS
def test_windows_on_one_storage(tmp_path, write):
    values = np.arange(12, dtype=np.float32)
    value = {
        "whole": tensor("0", np.zeros((3, 4), np.float32), (4, 1), 0, values),
        "turned": tensor("0", np.zeros((4, 3), np.float32), (1, 4), 0, values),
        "part": tensor("0", np.zeros(3, np.float32), (2,), 5, values),
    }
    write(tmp_path / "f.pth", value, {"0": values})
    found = read_state_dict(tmp_path / "f.pth")
    np.testing.assert_array_equal(found["whole"], values.reshape(3, 4))
    np.testing.assert_array_equal(found["turned"], values.reshape(3, 4).T)
    np.testing.assert_array_equal(found["part"], [5, 7, 9])


@WRITERS
@pytest.mark.parametrize("offset, strides", [(10, (1,)), (0, (6,)), (-1, (1,)), (11, (-1,))])
def test_windows_beyond_their_storage(tmp_path, write, offset, strides):
    values = np.arange(12, dtype=np.float32)
    value = {"x": tensor("0", np.zeros(3, np.float32), strides, offset, values)}
    write(tmp_path / "f.pth", value, {"0": values})
    with pytest.raises(DataError, match="is damaged .a tensor reaches beyond its storage"):
        read_state_dict(tmp_path / "f.pth")


@WRITERS
@pytest.mark.parametrize(
    "module, name",
    [("os", "system"), ("builtins", "eval"), ("torch", "load"), ("collections", "Counter")],
)
def test_nothing_else_is_called(tmp_path, write, module, name):
    made = tmp_path / "made"
    write(tmp_path / "f.pth", {"x": Call(Global(module, name), f"touch {made}")}, {})
    with pytest.raises(DataError, match=f"names {module}.{name}, which a dictionary of tensors"):
        read_state_dict(tmp_path / "f.pth")
    assert not made.exists()


@WRITERS
@pytest.mark.parametrize("value", [{"x": 3}, [1, 2], {"x": {"y": 1}}])
def test_not_a_dictionary_of_tensors(tmp_path, write, value):
    write(tmp_path / "f.pth", value, {})
    with pytest.raises(DataError, match="something else than a dictionary of tensors"):
        read_state_dict(tmp_path / "f.pth")


@WRITERS
@pytest.mark.parametrize("kept", [0.0, 0.3, 0.95])
def test_truncated(tmp_path, arrays, write, kept):
    path = tmp_path / "f.pth"
    write(path, *state_dict(arrays))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DataError, match="download it again"):
        read_state_dict(path)


def test_storage_of_another_size(tmp_path):
    value = {"x": tensor("0", np.zeros(3, np.float32))}
    write_zip(tmp_path / "f.pth", value, {"0": np.zeros(2, np.float32)})
    with pytest.raises(DataError, match="a storage has 8 bytes instead of 12"):
        read_state_dict(tmp_path / "f.pth")


def test_big_endian_and_no_file(tmp_path, arrays):
    write_zip(tmp_path / "f.pth", *state_dict(arrays), byteorder="big")
    with pytest.raises(DataError, match="big-endian"):
        read_state_dict(tmp_path / "f.pth")
    with pytest.raises(DataError, match="there is no file"):
        read_state_dict(tmp_path / "other.pth")
