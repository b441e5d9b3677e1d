import numpy as np
import pytest
from PIL import Image

from ebm_jax.data import open_dataset
from ebm_jax.data.sources.folder import open_folder
from ebm_jax.errors import DataError


def save(path, value, size=(4, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def values(tmp_path, make_config, split, **fields):
    config = make_config(name=f"folder:{tmp_path}", image_size=4, **fields)
    dataset = open_dataset(config, split)
    images, labels = dataset.fetch(np.arange(dataset.num_examples))
    assert (images == images[:, :1, :1]).all()
    return images[:, 0, 0, 0].tolist(), labels.tolist(), dataset.num_classes


@pytest.mark.parametrize("cache_gib", [0.0, 1.0])
def test_flat_folder_in_sorted_order_with_every_tenth_held_out(tmp_path, make_config, cache_gib):
    for i in reversed(range(20)):
        save(tmp_path / f"{i:02d}.{('png', 'bmp', 'PNG')[i % 3]}", 10 * i)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._00.png").write_text("what macOS leaves behind")
    kept = [10 * i for i in range(20) if i not in (9, 19)]
    fields = dict(cache_gib=cache_gib)
    assert values(tmp_path, make_config, "train", **fields) == (kept, [-1] * 18, 0)
    assert values(tmp_path, make_config, "test", **fields) == ([90, 190], [-1] * 2, 0)


def test_class_folders(tmp_path, make_config):
    for i, name in enumerate(["dog", "cat"]):
        for j in range(2):
            save(tmp_path / name / f"{j}.png", 100 * i + j)
    (tmp_path / "empty").mkdir()
    assert values(tmp_path, make_config, "train") == ([100, 101, 0, 1], [0, 0, 1, 1], 2)


def test_split_folders(tmp_path, make_config):
    save(tmp_path / "train" / "a" / "0.png", 1)
    save(tmp_path / "train" / "b" / "0.png", 2)
    save(tmp_path / "test" / "a" / "0.png", 3)
    assert values(tmp_path, make_config, "train") == ([1, 2], [0, 1], 2)
    assert values(tmp_path, make_config, "test") == ([3], [0], 1)
    with pytest.raises(DataError, match="sub-folders train, test but none named 'validation'"):
        open_folder(str(tmp_path), "validation")


@pytest.mark.parametrize("suffix, mode", [("jpg", "RGB"), ("jpeg", "RGB"), ("webp", "RGB")])
def test_colour_formats(tmp_path, make_config, suffix, mode):
    save(tmp_path / f"x.{suffix}", (250, 250, 250), size=(16, 12), mode=mode)
    config = make_config(name=f"folder:{tmp_path}", image_size=6, channels=3)
    images, _ = open_dataset(config, "train").fetch(np.array([0]))
    assert images.shape == (1, 6, 6, 3)
    assert (abs(images.astype(int) - 250) <= 2).all()


def test_missing_folder():
    with pytest.raises(DataError, match="There is no folder '/no/such'"):
        open_folder("/no/such", "train")


def test_no_images(tmp_path):
    with pytest.raises(DataError, match="has no images in .* end in .png"):
        open_folder(str(tmp_path), "train")


def test_mixed_layouts(tmp_path):
    save(tmp_path / "0.png", 0)
    save(tmp_path / "cat" / "0.png", 0)
    with pytest.raises(DataError, match="has 1 images directly in .* and others in sub-folders"):
        open_folder(str(tmp_path), "train")


def test_damaged_file_is_named(tmp_path, make_config):
    save(tmp_path / "0.png", 0)
    save(tmp_path / "1.png", 0)
    data = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(data[: len(data) // 2])
    dataset = open_dataset(make_config(name=f"folder:{tmp_path}", image_size=4), "train")
    with pytest.raises(DataError, match="1.png cannot be decoded as an image .*: repair or remove"):
        dataset.fetch(np.array([0]))


def test_file_of_other_channels_is_named(tmp_path, make_config):
    save(tmp_path / "0.png", 0)
    save(tmp_path / "1.png", (0, 0, 0), mode="RGB")
    dataset = open_dataset(make_config(name=f"folder:{tmp_path}", image_size=4), "train")
    with pytest.raises(DataError, match="1.png: The images have 3 channels and data.channels is 1"):
        dataset.fetch(np.array([0]))


def test_file_that_vanishes_is_named(tmp_path, make_config):
    save(tmp_path / "0.png", 0)
    save(tmp_path / "1.png", 0)
    dataset = open_dataset(make_config(name=f"folder:{tmp_path}", image_size=4), "train")
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataError, match="1.png cannot be read .No such file"):
        dataset.fetch(np.array([0]))
