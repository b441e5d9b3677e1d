import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from ebm_jax.errors import ConfigError
from ebm_jax.reporting.curves import plot_curves
from ebm_jax.reporting.files import write_json
from ebm_jax.reporting.grids import save_grid
from ebm_jax.reporting.report import write_report
from ebm_jax.reporting.run_record import read_run
from tests.reporting.page import read


def pixels_of(image):
    kind, _, content = image["src"].partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, fake):
    """A finished run's folder with its report; the tests only read it."""
    result = fake.evaluation(figures={"curve.png": "A caption <of> ours."})
    workdir = fake.make_run(tmp_path_factory.mktemp("finished"), result=result)
    (workdir / "checkpoints" / "100").mkdir(parents=True)
    (workdir / "checkpoints" / "200.orbax-checkpoint-tmp-1").mkdir()
    plot_curves(workdir / "eval" / "curve.png", {"a": ([0, 1], [0, 1])})
    plot_curves(workdir / "eval" / "fd_classifier_worst.png", {"a": ([0, 1], [0, 1])})
    plot_curves(workdir / "eval" / "other.png", {"a": ([0, 1], [0, 1])})
    assert write_report(workdir) == workdir / "report.html"
    return workdir


@pytest.fixture(scope="module")
def page(finished):
    return read(finished / "report.html")


def test_the_page_needs_nothing_outside_itself(finished, page):
    assert all(ref.startswith(("data:", "#")) for ref in page.references)
    assert not page.tags & {"script", "link", "iframe"}
    assert not re.search(
        r"url\(|@import|https?:", (finished / "report.html").read_text(encoding="utf-8")
    )
    sections = {"summary", "results", "samples", "curves", "settings", "environment"}
    assert sections <= set(page.text)


def test_the_summary_states_the_run(page):
    summary = " ".join(page.text["summary"].split())
    assert summary.startswith("joint on digits finished Finished: all 100 steps.")
    for fact in ("Training time 3m 30s", "Checkpoint 100", "Seed 1", "Hardware 1 x Fast"):
        assert fact in summary
    assert "fd_classifier ↓: EBM prior 5.000" in summary


def test_results_stand_side_by_side_with_the_protocol(page):
    assert page.rows("results")[0] == [
        ["", "Gaussian prior", "EBM prior", "Reconstruction"],
        ["fd_classifier", "20.00", "5.00", "–"],
    ]
    text = page.text["results"]
    assert "Protocol: 500 samples against the test images." in text
    assert "samples 500 · step 100 · seed 1 · seconds 1.500" in " ".join(text.split())
    assert len(page.rows("results")) == 1  # neither settings nor context are results
    captions = [image["alt"] for section, _, image in page.images if section == "results"]
    assert captions == ["A caption <of> ours.", "FD classifier worst", "Other"]
    assert text.index("FD classifier worst") < text.index("Figures") < text.index("Other")


def test_wide_figures_have_the_whole_width(tmp_path, fake):
    workdir = fake.make_run(tmp_path / "run", result=fake.evaluation())
    for name, size in (("strip", (300, 100)), ("square", (100, 100))):
        Image.new("L", size).save(workdir / "eval" / f"fd_classifier_{name}.png")
    captions = re.findall(
        r'<figure class="wide">.*?<figcaption>(.*?)<', write_report(workdir).read_text()
    )
    assert captions == ["FD classifier strip"]


def test_the_latest_samples_are_shown_and_the_earlier_folded(page):
    images = [(folded, image) for section, folded, image in page.images if section == "samples"]
    assert [folded for folded, _ in images] == [False, True]
    latest, earlier = (pixels_of(image) for _, image in images)
    assert latest[10, 10, 0] == round((0.1 + 1) / 2 * 255)
    assert earlier[10, 10, 0] == round((0.01 + 1) / 2 * 255)


def test_many_earlier_samples_are_thinned_out_evenly(tmp_path):
    for step in range(0, 400, 10):
        save_grid(tmp_path / "samples" / f"prior_{step:08d}.png", np.zeros((1, 4, 4, 1)))
    page = read(write_report(tmp_path))
    assert "12 of 39 earlier grids" in page.text["samples"]
    steps = [int(s) for s in re.findall(r"Step (\d+)", page.text["samples"])]
    assert steps[0] == 390 and steps[1] == 0 and steps[-1] == 380 and len(steps) == 13


def test_curves_are_grouped(page):
    alts = [image["alt"] for section, _, image in page.images if section == "curves"]
    assert alts == [
        "loss/total over steps",
        "energy/positive, negative over steps",
        "lr over steps",
        "time/elapsed_minutes over steps",
    ]
    assert page.text["curves"].index("Losses") < page.text["curves"].index("Energies")


def test_settings_and_environment(page):
    rows = [row for table in page.rows("settings") for row in table]
    assert ["prior.step_size", "0.4"] in rows and ["tasks", '["fd_classifier"]'] in rows
    assert "--config configs/x.py" in page.text["environment"]
    assert "9.8.7" in page.text["environment"]


def test_an_unfinished_run_is_called_so(tmp_path, fake):
    page = read(write_report(fake.make_run(tmp_path / "a", steps=40)))
    assert "Unfinished: step 40 of 100 (40 %)." in page.text["summary"]
    assert "results" not in page.text
    page = read(write_report(fake.make_run(tmp_path / "b")))
    assert "not yet evaluated: fd_classifier" in page.text["summary"]


def test_missing_and_broken_parts_are_left_out(tmp_path):
    page = read(write_report(tmp_path))
    assert "not started" in page.text["summary"]
    assert not {"results", "samples", "curves", "settings", "environment"} & set(page.text)
    (tmp_path / "config.json").write_text("{")
    write_json(tmp_path / "eval" / "list.json", [1])
    summary = read(write_report(tmp_path)).text["summary"]
    assert "config.json could not be read" in summary
    assert "list.json holds no JSON object" in summary
    with pytest.raises(ConfigError, match="no folder"):
        write_report(tmp_path / "nowhere")


def test_names_from_files_are_escaped(tmp_path):
    write_json(tmp_path / "eval" / "t.json", {"protocol": "<script>x</script>", "a": 1.0})
    html = write_report(tmp_path).read_text(encoding="utf-8")
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_the_record_reads_steps_and_time(finished):
    record = read_run(finished)
    assert (record.checkpoint_step, record.step, record.minutes) == (100, 100, 3.5)
    assert record.setting("sampler.prior.step_size") == 0.4
    assert record.setting("sampler.none.step_size", "x") == "x"
    assert [step for step, _ in record.samples["prior"]] == [10, 100]
