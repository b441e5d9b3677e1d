"""A data config and a writer of small, real tfds data sets (array_record, no TensorFlow)."""

import io
import json

import ml_collections
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def make_config():
    """Returns a function: field values -> `config.data`."""

    def make(**fields):
        defaults = dict(
            name="digits",
            batch_size=16,
            train_split="train",
            eval_split="test",
            image_size=8,
            channels=1,
            crop=0,
            flip=False,
            range=(-1.0, 1.0),
            cache_gib=1.0,
            prefetch=2,
        )
        return ml_collections.ConfigDict({**defaults, **fields})

    return make


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def encode_png():
    """Returns a function: uint8 [h, w, c] -> the bytes of a PNG."""

    def encode(image):
        buffer = io.BytesIO()
        Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, "PNG")
        return buffer.getvalue()

    return encode


@pytest.fixture
def write_tfds(tmp_path, monkeypatch, encode_png):
    """Returns a function that writes `toy` to a TFDS_DATA_DIR of its own.

    It takes uint8 images [n, h, w, c] (any but the first may be bytes) and labels or None.
    """

    def write(images, labels=None, file_format="array_record", dtype="uint8", key="image"):
        from array_record.python.array_record_module import ArrayRecordWriter
        from tensorflow_datasets.proto import tf_example_pb2

        root = tmp_path / "tfds"
        folder = root / "toy" / "1.0.0"
        folder.mkdir(parents=True)
        shape = [str(s) for s in np.shape(images[0])]
        python = "tensorflow_datasets.core.features."
        features = {
            key: {
                "pythonClassName": python + "image_feature.Image",
                "image": {"dtype": dtype, "shape": {"dimensions": shape}},
            }
        }
        if labels is not None:
            features["label"] = {
                "pythonClassName": python + "class_label_feature.ClassLabel",
                "classLabel": {"numClasses": "3"},
            }
        top = {
            "pythonClassName": python + "features_dict.FeaturesDict",
            "featuresDict": {"features": features},
        }
        (folder / "features.json").write_text(json.dumps(top))
        info = {
            "name": "toy",
            "version": "1.0.0",
            "fileFormat": file_format,
            "splits": [
                {
                    "name": "train",
                    "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                    "numBytes": "1",
                    "shardLengths": [str(len(images))],
                }
            ],
        }
        (folder / "dataset_info.json").write_text(json.dumps(info))
        writer = ArrayRecordWriter(
            str(folder / f"toy-train.{file_format}-00000-of-00001"), "group_size:1"
        )
        for i, image in enumerate(images):
            example = tf_example_pb2.Example()
            data = image if isinstance(image, bytes) else encode_png(image)
            example.features.feature[key].bytes_list.value.append(data)
            if labels is not None:
                example.features.feature["label"].int64_list.value.append(int(labels[i]))
            writer.write(example.SerializeToString())
        writer.close()
        monkeypatch.setenv("TFDS_DATA_DIR", str(root))
        return root

    return write
