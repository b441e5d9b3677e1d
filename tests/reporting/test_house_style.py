import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.house_style import COLOURS, DASHES, line_style, new_axes, save_figure


def drawn():
    figure, axes = new_axes("T", "step", "nats")
    axes.plot([0, 1], [0, 1])
    return figure


@pytest.mark.parametrize("kind, begins", [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_a_figure_gives_the_same_bytes_again(tmp_path, kind, begins):
    first, second = (save_figure(tmp_path / f"{i}.{kind}", drawn()).read_bytes() for i in (1, 2))
    assert first.startswith(begins) and first == second


def test_a_png_has_a_twin_for_print(tmp_path):
    save_figure(tmp_path / "a.png", drawn())
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    save_figure(tmp_path / "b.svg", drawn())
    assert not (tmp_path / "b.pdf").exists()
    with pytest.raises(ConfigError, match="'.*c.gif'; its name must end in .png, .svg or .pdf"):
        save_figure(tmp_path / "c.gif", drawn())


def test_every_line_looks_like_no_other():
    count = len(COLOURS) * len(DASHES)
    styles = [tuple(line_style(index).values()) for index in range(count)]
    assert len(set(styles)) == count and line_style(count) == line_style(0)
    assert {dash for _, dash in styles[: len(COLOURS)]} == {DASHES[0]}
