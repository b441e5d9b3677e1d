"""The look of all figures: colours, axes, legends, files; no pyplot, whose state is global."""

import io
import os
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.files import write_bytes

# Okabe and Ito's palette, darkest first: told apart by colour-blind readers and in grey print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#444444", "#8A6BBE")
DASHES = ("-", "--", "-.", ":")
INK = "#333333"
SIZE = (4.6, 2.9)  # inches: half a page's width and a little


def new_axes(
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    size: tuple[float, float] = SIZE,
) -> tuple[Figure, Axes]:
    """An empty figure of `size` inches in the house style."""
    figure, (axes,) = new_panels(1, size)
    return figure, style_axes(axes, title, xlabel, ylabel)


def new_panels(columns: int, size: tuple[float, float], rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of `size` inches with empty axes, row by row, not yet in the house style."""
    figure = Figure(figsize=size, dpi=180, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure, list(figure.subplots(rows, columns, squeeze=False).ravel())


def style_axes(axes: Axes, title: str = "", xlabel: str = "", ylabel: str = "") -> Axes:
    """Gives axes the house style; returns them."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.spines[["left", "bottom"]].set_linewidth(0.8)
    axes.tick_params(colors=INK, labelsize=8, width=0.8, length=3, color="#999999")
    axes.grid(True, axis="y", color="#E6E6E6", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(title, fontsize=9.5, color=INK, loc="left")
    axes.set_xlabel(xlabel, fontsize=8.5, color=INK)
    axes.set_ylabel(ylabel, fontsize=8.5, color=INK)
    axes.xaxis.get_offset_text().set_fontsize(7.5)
    axes.yaxis.get_offset_text().set_fontsize(7.5)
    return axes


def render(figure: Figure, kind: str = "png") -> bytes:
    """The figure as bytes of `kind`: png, svg or pdf; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # Journals refuse the default Type 3 fonts; without a salt an SVG's identifiers are random.
    settings = {"pdf.fonttype": 42, "svg.fonttype": "path", "svg.hashsalt": "ebm_jax"}
    undated = {"png": {"Software": None}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    with rc_context(settings):
        figure.savefig(buffer, format=kind, metadata=undated[kind])
    return buffer.getvalue()


def save_figure(path: str | os.PathLike, figure: Figure) -> Path:
    """Writes a figure to a .png, .svg or .pdf, and a .png's twin for print beside it, a .pdf.

    Raises:
      ConfigError: another ending.
    """
    kind = Path(path).suffix.lstrip(".").lower()
    if kind not in ("png", "svg", "pdf"):
        raise ConfigError(f"A figure's file is '{path}'; its name must end in .png, .svg or .pdf.")
    if kind == "png":
        write_bytes(Path(path).with_suffix(".pdf"), render(figure, "pdf"))
    return write_bytes(path, render(figure, kind))


def line_style(index: int) -> dict:
    """Colour and dash of the index-th line: a dash changes only when the colours have run out."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index // len(COLOURS) % len(DASHES)],
    }


def draw_legend(axes: Axes, names: list[str]) -> None:
    """A legend, where the lines have names."""
    if len(names) > 1 or (names and names[0]):
        columns = 2 if len(names) > 5 else 1
        axes.legend(fontsize=7.5, frameon=False, labelcolor=INK, ncols=columns)
