"""The comparison page, and the command that writes it."""

import re

import pytest

from ebm_jax.errors import ConfigError
from ebm_jax.reporting import compare
from tests.reporting.page import read


@pytest.fixture
def runs(tmp_path, fake):
    """A finished run, and an unfinished one of another sampler."""
    first = fake.make_run(tmp_path / "first", result=fake.evaluation())
    second = fake.make_run(tmp_path / "second", fake.config(step_size=0.8), steps=40)
    return [str(first), str(second)]


def test_runs_stand_side_by_side(tmp_path, runs, capsys):
    out = tmp_path / "pages" / "both.html"
    assert compare.main([*runs, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"comparison {out}\n"
    page = read(out)
    assert page.text["summary"].split()[:4] == ["Comparison", "of", "2", "runs"]
    (numbers,) = page.rows("numbers")
    assert numbers == [
        ["", "first", "second"],
        ["fd_classifier ↓"],
        ["Gaussian prior", "20.00", "–"],
        ["EBM prior", "5.000", "–"],
    ]
    (facts,) = page.rows("runs")
    assert facts[:2] == [["", "first", "second"], ["Status", "finished", "unfinished"]]
    assert ["Steps", "100", "40 of 100"] in facts
    (settings,) = page.rows("settings")
    assert settings == [["", "first", "second"], ["sampler.prior.step_size", "0.4", "0.8"]]
    curves = [image["alt"] for section, _, image in page.images if section == "curves"]
    assert curves == [
        f"{name} over steps"
        for name in ("loss/total", "energy/negative", "energy/positive", "lr",
                     "time/elapsed_minutes")
    ]  # fmt: skip
    samples = [image["alt"] for section, _, image in page.images if section == "samples"]
    assert samples == ["Prior of first", "Prior of second"]
    assert "first, step 100" in " ".join(page.text["samples"].split())


def test_the_page_needs_nothing_outside_itself(tmp_path, runs):
    path = compare.write_comparison(runs, tmp_path / "compare.html")
    page = read(path)
    assert all(ref.startswith(("data:", "#")) for ref in page.references)
    assert not page.tags & {"script", "link", "iframe"}
    assert not re.search(r"url\(|@import|https?:", path.read_text(encoding="utf-8"))


def test_the_best_is_marked_in_words(tmp_path, fake):
    runs = [
        fake.make_run(tmp_path / name, result=fake.evaluation(ebm_prior=value))
        for name, value in (("a", 5.0), ("b", 4.0))
    ]
    (numbers,) = read(compare.write_comparison(runs, tmp_path / "c.html")).rows("numbers")
    assert numbers[3] == ["EBM prior", "5.000", "best4.000"]


def test_runs_that_have_hardly_begun(tmp_path, fake):
    begun = fake.make_run(tmp_path / "begun", steps=0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{")
    page = read(compare.write_comparison([begun, tmp_path / "broken"], tmp_path / "c.html"))
    assert "broken: broken/config.json could not be read" in page.text["summary"]
    assert page.rows("runs")[0][1] == ["Status", "not started", "not started"]
    assert not {"numbers", "settings", "curves"} & set(page.text)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "error: no runs are given; name the folders of at least two"),
        (["first"], "error: one run alone, 'first', is given; name a second one"),
        (["first", "x/../first"], "error: 'x/../first' is the same run as 'first'; name every run"),
        (["first", "nowhere"], "error: There is no folder 'nowhere'; give the folder of a run."),
        (["first", "empty"], "error: 'empty' is no run's folder, for it has neither config.json"),
        (["first", "export"], "error: 'export' holds an export and no run; give the folder of a"),
        (["first", "second", "--out", "empty"], "error: --out is 'empty', a folder; name a file"),
        (
            ["first", "second", "--out", "file/c.html"],
            "error: --out is 'file/c.html', which cannot be written (",
        ),
    ],
)
def test_bad_usage_ends_with_a_sentence(tmp_path, runs, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    for folder in ("x", "empty"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "params.msgpack").touch()
    assert compare.main(arguments) == 2
    assert capsys.readouterr().err.startswith(message)
    assert not list(tmp_path.glob("*.html"))


def test_names_are_escaped(tmp_path, fake):
    runs = [fake.make_run(tmp_path / name) for name in ("<i>x_y", "plain")]
    text = compare.write_comparison(runs, tmp_path / "c.html").read_text(encoding="utf-8")
    assert "<i>" not in text and "&lt;i&gt;x_" in text
    with pytest.raises(ConfigError, match="no runs"):
        compare.write_comparison([], tmp_path / "c.html")
