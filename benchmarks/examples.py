"""What suites train on: the time of a step does not depend on what an image shows."""

import numpy as np


def random_batch(config, size: int | None = None) -> dict[str, np.ndarray]:
    """A batch of noise images of the config's shape; `data.batch_size` of them by default."""
    side, channels = config.data.image_size, config.data.channels
    size = size or config.data.batch_size
    images = np.random.default_rng(0).uniform(-1, 1, (size, side, side, channels))
    return {
        "image": images.astype(np.float32),
        "index": np.arange(size),
        "label": np.zeros(size, int),
    }
