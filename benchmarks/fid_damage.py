"""Does FID grow with damage? Real images against blurred, noisy and mode-dropped ones.

    python -m benchmarks.fid_damage [--out docs/figures/fid_damage.png] [--features 768]

Two sets of real images (test split of `cifar10_jpeg75`) are compared, then one of them after
damage. Needs the Inception weights and TFDS_DATA_DIR.
"""

import argparse
import json

import ml_collections
import numpy as np
from scipy.ndimage import gaussian_filter

from ebm_jax import data
from ebm_jax.errors import ConfigError
from ebm_jax.evaluation.fid_protocol import fid, metric_name
from ebm_jax.evaluation.frechet import moments
from ebm_jax.evaluation.inception import open_extractor
from ebm_jax.reporting.files import write_bytes
from ebm_jax.reporting.house_style import COLOURS, INK, new_axes, render

BLUR = (0.5, 1.0, 2.0)  # standard deviation in pixels
NOISE = (0.05, 0.15, 0.3)  # standard deviation, pixels in [0, 1]
LOST = (0, 1, 8, 9, 3, 5)  # classes that go missing, in this order: vehicles, cat and dog
DROPPED = (2, 4, 6)  # how many of them


def real_images(count):
    """Images uint8 [count, 32, 32, 3] and labels of the test split, shuffled."""
    config = ml_collections.ConfigDict(
        dict(name="cifar10_jpeg75", image_size=32, channels=3, crop=0, cache_gib=1.0)
    )
    dataset = data.open_dataset(config, "test")
    return dataset.fetch(np.random.default_rng(0).permutation(dataset.num_examples)[:count])


def blurred(images, sigma):
    return gaussian_filter(images.astype(np.float32), (0, sigma, sigma, 0)).round().astype(np.uint8)


def noisy(images, sigma):
    noise = np.random.default_rng(1).normal(scale=255 * sigma, size=images.shape)
    return np.clip(np.rint(images + noise), 0, 255).astype(np.uint8)


def measure(extract, images, labels, features, count):
    """FID of the last images, damaged, against the first `count`.

    Args:
      extract: images → features [n, width].
      images, labels: of `real_images`; 4 × count leave `count` when six classes are lost.
      features: of these images.
      count: on each side.

    Returns:
      {damage: [(level, FID), …]} with level 0 first; every number is of as many images.
    """
    reference = moments(features[:count])
    others, rest, classes = images[count:], features[count:], labels[count:]

    def against(rows):
        if len(rows) < count:
            raise ConfigError(f"only {len(rows)} images are left to compare; lower --count.")
        return fid(moments(rows[:count]), reference)

    def without(dropped):
        return rest[~np.isin(classes, LOST[:dropped])]

    whole = [(0, against(rest))]
    return {
        "blur": whole + [(s, against(extract(blurred(others[:count], s)))) for s in BLUR],
        "noise": whole + [(s, against(extract(noisy(others[:count], s)))) for s in NOISE],
        "dropped classes": whole + [(k, against(without(k))) for k in DROPPED],
    }


def draw(found, name):
    """The figure: FID by level of damage, 0 to the strongest."""
    figure, axes = new_axes(xlabel="damage", ylabel=f"{name} (log)", size=(4.6, 3.0))
    units = {"blur": "px", "noise": "σ", "dropped classes": "of 10"}
    for colour, (damage, points) in zip(COLOURS, found.items(), strict=False):
        values = [value for _, value in points]
        axes.plot(range(len(values)), values, marker="o", markersize=4, color=colour, label=damage)
        for i, (level, value) in list(enumerate(points))[1:]:
            axes.annotate(
                f"{level:g} {units[damage]}",
                (i, value),
                textcoords="offset points",
                xytext=(-4, -11 if damage == "dropped classes" else 5),
                ha="right",
                fontsize=7,
                color=colour,
            )
    axes.set_yscale("log")
    axes.set_xticks(range(4), ["none", "weak", "medium", "strong"])
    axes.margins(y=0.12)
    axes.legend(fontsize=7.5, frameon=False, labelcolor=INK)
    return figure


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="docs/figures/fid_damage.png")
    parser.add_argument("--features", default="768", choices=("64", "192", "768"))
    parser.add_argument("--count", type=int, default=1000, help="images on each side")
    options = parser.parse_args()
    count = options.count
    extractor = open_extractor([options.features])

    def extract(images):
        return extractor(images)[options.features]

    images, labels = real_images(4 * count)
    found = measure(extract, images, labels, extract(images), count)
    name = metric_name(options.features, count, extractor.resize)
    write_bytes(options.out, render(draw(found, name)))
    print(json.dumps({"metric": name, **found}))


if __name__ == "__main__":
    main()
