import numpy as np
import pytest

from ebm_jax.data.sources.npz import open_npz
from ebm_jax.errors import DataError


@pytest.fixture
def save(tmp_path):
    def save_arrays(**arrays):
        np.savez(tmp_path / "set.npz", **arrays)
        return str(tmp_path / "set.npz")

    return save_arrays


def numbered(n, shape=(4, 4, 1)):
    return np.broadcast_to(np.arange(n, dtype=np.uint8).reshape(n, *[1] * len(shape)), (n, *shape))


def firsts(source):
    images, labels = source.read(range(source.num_examples))
    return [int(i[0, 0, 0]) for i in images], labels.tolist()


def test_every_tenth_is_held_out(save):
    path = save(images=numbered(25), labels=np.arange(25))
    assert firsts(open_npz(path, "test")) == ([9, 19], [9, 19])
    kept = [i for i in range(25) if i not in (9, 19)]
    assert firsts(open_npz(path, "train")) == (kept, kept)
    assert open_npz(path, "test").num_classes == 25  # of the whole file


def test_own_test_split_leaves_images_whole(save):
    path = save(images=numbered(20), images_test=numbered(3), labels_test=np.array([2, 0, 1]))
    assert firsts(open_npz(path, "train")) == (list(range(20)), [-1] * 20)
    assert firsts(open_npz(path, "test")) == ([0, 1, 2], [2, 0, 1])
    assert [open_npz(path, s).num_classes for s in ("train", "test")] == [0, 3]


def test_images_without_channel_axis(save):
    source = open_npz(save(images=numbered(20, (4, 6))), "train")
    assert source.images.shape == (18, 4, 6, 1)


def test_missing_file():
    with pytest.raises(DataError, match="There is no file '/no/such.npz'"):
        open_npz("/no/such.npz", "train")


def test_no_archive(tmp_path):
    path = tmp_path / "set.npz"
    path.write_bytes(b"not a zip file")
    with pytest.raises(DataError, match="cannot be read as a NumPy archive"):
        open_npz(str(path), "train")


@pytest.mark.parametrize(
    "arrays, message",
    [
        (dict(x=numbered(3)), "has no array `images` or `images_train` but x"),
        (dict(images=numbered(3) / 255.0), "`images` of dtype float64: store them as uint8"),
        (dict(images=numbered(3, ())), r"`images` of shape \(3,\): store them as \[N, H, W, C\]"),
        (dict(images=numbered(3), labels=np.zeros(2, int)), r"shape \(2,\): .* of shape \(3,\)"),
        (dict(images=numbered(3), labels=np.zeros(3)), "`labels` of dtype float64"),
    ],
)
def test_wrong_arrays(save, arrays, message):
    with pytest.raises(DataError, match=message):
        open_npz(save(**arrays), "train")


def test_unknown_split(save):
    with pytest.raises(DataError, match="splits train and test, not 'dev'"):
        open_npz(save(images=numbered(20)), "dev")
