"""What the notebooks' figures share: colours, and images on a matplotlib axis."""

import matplotlib.pyplot as plt
import numpy as np

from ebm_jax.reporting.grids import image_grid

GAUSSIAN, EBM, DATA = "#8a8f98", "#1769aa", "#d9720b"  # one colour per distribution, throughout


def use_style() -> None:
    """Sizes that can be read on a slide, and small files."""
    plt.rcParams.update(
        {
            "figure.dpi": 80,
            "savefig.dpi": 80,
            "figure.constrained_layout.use": True,
            "font.size": 12,
            "axes.titlesize": 13,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "legend.edgecolor": "none",
            "legend.framealpha": 0.85,
        }
    )


def show(axis, images, title: str, columns: int | None = None) -> None:
    """Images [n, H, W, 1] in [-1, 1] as a grid with a title."""
    axis.imshow(image_grid(np.asarray(images), columns))
    axis.set_title(title)
    axis.axis("off")


def show_rows(axis, rows, title: str, *, left=None, below=None, xlabel: str = "") -> None:
    """Images [rows, columns, H, W, 1] in [-1, 1], with names of the rows and of the columns.

    Args:
      axis: to draw on.
      rows: the images.
      title: of the axis.
      left: a name for each row, or None.
      below: a name for each column, or None.
      xlabel: what the columns are.
    """
    rows = np.asarray(rows)
    pixels = image_grid(rows.reshape(-1, *rows.shape[2:]), rows.shape[1])
    axis.imshow(pixels)
    axis.set_title(title)
    axis.set_xlabel(xlabel)
    for place in axis.spines.values():
        place.set_visible(False)
    axis.tick_params(length=0)
    _name(axis.set_xticks, below, pixels.shape[1])
    _name(axis.set_yticks, left, pixels.shape[0])


def _name(set_ticks, names, length: int) -> None:
    if names is None:
        set_ticks([])
        return
    step = length / len(names)
    set_ticks((np.arange(len(names)) + 0.5) * step, [str(name) for name in names])
