"""The latent explorer of a report: what is described is checked, and shown as described."""

import json
import re
from html import unescape

import pytest

from ebm_jax.reporting.explorer import read_explorer, sprite_of
from ebm_jax.reporting.report import write_report
from tests.reporting.page import read


@pytest.fixture
def explored(tmp_path, fake):
    workdir = fake.make_run(tmp_path / "run", result=fake.evaluation())
    fake.add_explorer(workdir)
    return workdir


def content_of(workdir):
    return json.loads((workdir / "eval" / "moves.json").read_text())


def test_units_know_their_row_and_own_values(explored):
    problems = []
    found = read_explorer(explored / "eval", "moves", content_of(explored), problems)
    assert (problems, found.bases, found.tile, found.places) == ([], 2, (4, 4), [-1.0, 0.0, 1.0])
    assert [layer["title"] for layer in found.layers] == ["Layer 1 (bottom)", "Layer 2 (top)"]
    assert [unit for layer in found.layers for unit in layer["units"]] == [
        {"name": "3", "row": 1, "own": [0.4, 0.5]},
        {"name": "7", "row": 2, "own": [-3.0, 0.6]},
        {"name": "0", "row": 3, "own": [0.0, -0.7]},
    ]
    assert found.pixelated and not found._replace(tile=(64, 64)).pixelated
    assert read_explorer(explored / "eval", "other", {}, problems) is None and not problems


def test_the_page_has_a_slider_for_every_unit_and_a_choice_of_bases_and_layers(explored):
    html = write_report(explored).read_text(encoding="utf-8")
    sliders = re.findall(r'<input type="range" id="([^"]+)" min="(.+?)" max="(.+?)" step', html)
    assert sliders == [(f"moves-{name}", "-1.0", "1.0") for name in ("0-0", "0-1", "1-0")]
    assert re.findall(r'<label for="([^"]+)">(Unit \d+)</label>', html) == [
        ("moves-0-0", "Unit 3"), ("moves-0-1", "Unit 7"), ("moves-1-0", "Unit 0")
    ]  # fmt: skip
    rows = re.findall(r'data-row="(\d)" data-own="(.*?)"', html)
    assert [(row, json.loads(unescape(own))) for row, own in rows] == [
        ("1", [0.4, 0.5]), ("2", [-3.0, 0.6]), ("3", [0.0, -0.7])
    ]  # fmt: skip
    assert len(re.findall(r'name="moves-base"', html)) == 2
    assert len(re.findall(r'name="moves-layer"', html)) == 2
    assert len(re.findall(r'<button type="button" class="reset">', html)) == 1
    assert "<noscript><p" in html and "needs JavaScript" in html
    assert "What &lt;is&gt; shown." in html
    (described,) = re.findall(r'<script type="application/json">(.*?)</script>', html)
    assert json.loads(described) == {"tile": [4, 4], "places": [-1.0, 0.0, 1.0]}


def test_the_page_still_needs_nothing_outside_itself(explored):
    path = write_report(explored)
    assert all(ref.startswith(("data:", "#")) for ref in read(path).references)
    assert not re.search(r"url\(|@import|https?:|fetch\(", path.read_text(encoding="utf-8"))
    assert "default-src 'none'" in path.read_text(encoding="utf-8")


def test_the_sprite_is_no_figure_and_the_description_no_result(explored):
    page = read(write_report(explored))
    images = [image for section, _, image in page.images if section == "results"]
    assert [image.get("class") for image in images] == ["sprite"]
    assert [row for rows in page.rows("results") for row in rows if "ayer" in row[0]] == [
        ["Layer 1", "0.5000"]
    ]
    assert sprite_of(content_of(explored)) == "moves_sprite.png"


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"file": "none.png"}, "No such file"),
        ({"file": None}, "it names no file"),
        ({"tile": [4, 5]}, r"moves_sprite.png has \(24, 16\) pixels instead of \(30, 16\)"),
        ({"places": [0.0, -1.0, 1.0]}, "places are no rising numbers"),
        ({"layers": []}, "no units"),
        ({"layers": [{"title": "L", "units": [1, 2], "values": [[0.1]]}]}, "L has not a value"),
        ({"layers": [{"title": "L", "units": [1]}]}, "no key 'values'"),
        ({"layers": 3}, "not iterable"),
    ],
)
def test_what_cannot_be_shown_is_left_out_with_a_sentence(tmp_path, fake, changes, words):
    workdir = fake.make_run(tmp_path / "run")
    fake.add_explorer(workdir, **changes)
    page = read(write_report(workdir))
    assert re.search(rf"explorer of task 'moves' cannot be shown \(.*{words}", page.text["summary"])
    assert not page.tags & {"script", "canvas"} and "results" in page.text


def test_a_description_of_another_kind_is_left_out_too(explored):
    problems = []
    assert read_explorer(explored / "eval", "moves", {"explorer": [1]}, problems) is None
    assert len(problems) == 1
