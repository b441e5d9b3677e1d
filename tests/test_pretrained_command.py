"""python -m ebm_jax.pretrained: what it copies and writes, and what it leaves alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

import ebm_jax
from ebm_jax import export, pretrained
from ebm_jax.errors import ConfigError
from ebm_jax.methods import InferenceState
from ebm_jax.pretrained import main, publish
from ebm_jax.reporting.files import write_json
from tests.reporting import fakes
from tests.test_train import trained_workdir

ROOT = Path(__file__).resolve().parent.parent
COMMAND = "python -m ebm_jax.main --config configs/digits_joint.py:quick --workdir /x/runs/tiny"


@pytest.fixture
def run(tmp_path):
    """A tiny run of a clean commit, with numbers of one task."""
    workdir = shutil.copytree(trained_workdir(), tmp_path / "tiny")
    change(workdir / "config.json", command=COMMAND, git_commit=fakes.COMMIT, commits=[])
    for task in json.loads((workdir / "config.json").read_text())["config"]["eval"]["tasks"]:
        told = fakes.evaluation(step=40, task=task, settings=settings_of(workdir))
        write_json(workdir / "eval" / f"{task}.json", told)
    return workdir


def settings_of(workdir):
    """As an evaluation tells them."""
    config = json.loads((workdir / "config.json").read_text())["config"]
    return config["eval"] | {"sampler": config["sampler"]}


def evaluated_with(run, sampler=(), **settings):
    """Writes other settings into one evaluation."""
    told = settings_of(run) | settings
    told["sampler"]["prior"] |= dict(sampler)
    change(run / "eval" / "chains.json", settings=told)


def change(path, **values):
    write_json(path, json.loads(path.read_text()) | values)


def tree(folder):
    """Path → content of all files below a folder."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_export_with_a_card_is_made(run, tmp_path, capsys):
    into = tmp_path / "models"
    assert main([str(run), "--name", "digits_x", "--into", str(into)]) == 0
    assert "digits_x" in capsys.readouterr().out
    made = into / "digits_x"
    assert {path.name for path in into.iterdir()} == {"README.md", "digits_x"}
    assert {path.name for path in made.iterdir()} == {
        *("config.json", "params.msgpack", "card.json", "README.md", "samples.png")
    }
    for name in ("config.json", "params.msgpack"):
        assert (made / name).read_bytes() == (run / "export" / name).read_bytes()
    images = np.asarray(ebm_jax.load(made).sample(jax.random.key(0), 4).images)
    assert images.shape == (4, 8, 8, 1) and np.isfinite(images).all()
    page = (made / "README.md").read_text()
    for number in json.loads((made / "card.json").read_text())["numbers"]:
        told = json.loads((run / "eval" / f"{number['task']}.json").read_text())
        assert told[number["variant"]] == number["value"] and told["protocol"] in page
    assert 'ebm_jax.load("models/digits_x")' in page and "--workdir models/digits_x " in page
    assert main(["--into", str(into), "--check"]) == 0
    assert "| EBM prior | 5.000 |" in page and "runs/tiny`" in page and "/x/" not in page
    assert "[`digits_x`](digits_x/README.md)" in (into / "README.md").read_text()


def test_the_folder_appears_with_its_card(run, tmp_path, monkeypatch):
    """Whole from the beginning, also where the process ends before it makes the index."""
    monkeypatch.setattr(pretrained, "write_pages", lambda into: [])
    made = publish(run, "digits_x", tmp_path / "models")
    page = (made / "README.md").read_text()
    assert page == pretrained.pages_of(tmp_path / "models")[made / "README.md"]
    assert 'ebm_jax.load("models/digits_x")' in page


def test_the_picture_is_that_of_mode_sample_and_small(run, tmp_path, monkeypatch):
    made = publish(run, "digits_x", tmp_path / "models")
    size = (made / "samples.png").stat().st_size
    assert size <= 30_000
    assert json.loads((made / "card.json").read_text())["picture"] == {"images": 64, "seed": 0}
    copy = shutil.copytree(made, tmp_path / "copy")
    command = [sys.executable, "-m", "ebm_jax.main", "--workdir", str(copy), "--mode", "sample"]
    command.append("--config.eval.grid=64")  # the quick config's is smaller
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    assert (copy / "samples" / "samples.png").read_bytes() == (made / "samples.png").read_bytes()
    monkeypatch.setattr(pretrained, "_PICTURE_BYTES", size - 1)
    made = publish(run, "digits_y", tmp_path / "models")
    assert json.loads((made / "card.json").read_text())["picture"]["images"] == 36
    assert Image.open(made / "samples.png").size[0] < Image.open(copy / "samples.png").size[0]
    assert "The first 36 samples" in (made / "README.md").read_text()


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda run: change(run / "config.json", git_commit=f"{fakes.COMMIT}-dirty"), "clean"),
        (lambda run: change(run / "config.json", git_commit="unknown"), "clean"),
        (lambda run: (run / "eval" / "chains.json").unlink(), "is not finished"),
        (lambda run: change(run / "eval" / "chains.json", step=30), "evaluated at step 30"),
        (
            lambda run: evaluated_with(run, prior_steps=7),
            "num_steps) = 7, and its export draws with 5; run --mode eval again with 5",
        ),
        (
            lambda run: evaluated_with(run, sampler={"step_size": 7.0}),
            "was evaluated with sampler.prior.step_size = 7.0, and its export draws with ",
        ),
        (
            lambda run: evaluated_with(run, level_shares=[1, 2]),
            "was evaluated with eval.level_shares = [1, 2], and its export draws with []",
        ),
        (
            lambda run: change(run / "eval" / "chains.json", settings={}),
            "does not say with which settings it was evaluated",
        ),
        (lambda run: shutil.rmtree(run / "export"), "has no export/config.json"),
        (lambda run: change(run / "export" / "config.json", step=30), "not of the finished run"),
        (lambda run: change(run / "export" / "config.json", config={}), "not of the finished run"),
        (lambda run: (run / "export" / "config.json").write_text("{"), "not of the finished run"),
    ],
)
def test_what_is_not_to_be_given_away_is_refused(run, tmp_path, capsys, spoil, message):
    spoil(run)
    assert main([str(run), "--name", "digits_x", "--into", str(tmp_path / "models")]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1
    assert not (tmp_path / "models").exists()


def test_settings_that_leave_samples_alone_may_differ(run, tmp_path):
    """The chain's length by another name, and what is younger than the evaluation."""
    evaluated_with(run, prior_steps=5, long_chain_steps=9)
    told = settings_of(run)
    del told["level_shares"]
    change(run / "eval" / "reconstruction.json", settings=told)
    assert publish(run, "digits_x", tmp_path / "models").is_dir()


@pytest.mark.parametrize(
    "size, words",
    [
        (5_000_001, "has 5.0 MB, and at most 5 MB may be kept here; give --half, which halves it"),
        (10_000_001, "has 10.0 MB, and at most 5 MB may be kept here; give it away elsewhere"),
    ],
)
def test_a_large_export_is_refused(run, tmp_path, capsys, size, words):
    with open(run / "export" / "params.msgpack", "ab") as stream:
        stream.truncate(size)
    assert main([str(run), "--name", "digits_x", "--into", str(tmp_path / "models")]) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("flags", [["--half"], ["--replace"], ["--limits", ""]])
def test_flags_of_a_new_export_without_one_are_refused(tmp_path, capsys, flags):
    assert main(["--into", str(tmp_path / "models"), *flags]) == 2
    assert "are about an export that is added; give a RUN and --name" in capsys.readouterr().err
    assert not (tmp_path / "models").exists()


def test_half_precision_is_half_as_large_and_says_what_it_moved(run, tmp_path):
    whole = publish(run, "digits_x", tmp_path / "models")
    half = publish(run, "digits_y", tmp_path / "models", half=True)
    sizes = [(folder / "params.msgpack").stat().st_size for folder in (whole, half)]
    assert 0.4 < sizes[1] / sizes[0] < 0.7
    exact, rounded = (
        np.asarray(ebm_jax.load(folder).sample(jax.random.key(0), 64).images)
        for folder in (whole, half)
    )
    told = json.loads((half / "card.json").read_text())["half"]
    assert told["images"] == 64 and 1e-6 < told["moved"] < 0.02
    moved = np.sqrt(np.mean((rounded - exact) ** 2))  # of other noise
    assert 0.2 < moved / told["moved"] < 5
    assert (
        f"moved 64 samples by {told['moved']:.2g} (root mean square) in data of [-1, 1]"
        in (half / "README.md").read_text()
    )
    assert "half" not in (whole / "README.md").read_text()
    for before, after in zip(
        *(jax.tree.leaves(ebm_jax.load(folder).state) for folder in (whole, half)), strict=True
    ):
        assert before.dtype == after.dtype
        np.testing.assert_allclose(after, before, rtol=2**-11, atol=1e-7)


def test_what_is_large_in_half_precision_too_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "MOST_BYTES", 1000)
    with pytest.raises(ConfigError, match="in half precision, and at most .* here; give it"):
        publish(run, "digits_x", tmp_path / "models", half=True)
    assert not (tmp_path / "models").exists()


def test_numbers_too_large_for_half_precision_are_refused():
    state = InferenceState({"net": {"kernel": jnp.array([1.0, 70_000.0])}}, {})
    with pytest.raises(ConfigError, match="params/net/kernel holds 70000, too large for half"):
        export.halved(state)


def test_a_damaged_export_leaves_nothing_behind(run, tmp_path, capsys):
    (run / "export" / "params.msgpack").write_bytes(b"no parameters")
    into = tmp_path / "models"
    assert main([str(run), "--name", "digits_x", "--into", str(into)]) == 3
    assert f"'{run / 'export'}' cannot be read" in capsys.readouterr().err and not into.exists()


def test_a_file_is_no_folder_of_exports(run, tmp_path, capsys):
    file = tmp_path / "README.md"
    file.write_text("precious")
    assert main([str(run), "--name", "digits_x", "--into", str(file)]) == 2
    assert f"--into is '{file}', which is a file" in capsys.readouterr().err
    assert file.read_text() == "precious"


@pytest.mark.parametrize("name", ["Digits", "../digits", "a-b", "_x", ""])
def test_names_are_simple(run, tmp_path, name):
    with pytest.raises(ConfigError, match="small letters"):
        publish(run, name, tmp_path / "models")


def test_an_existing_folder_is_replaced_when_asked_alone(run, tmp_path):
    into = tmp_path / "models"
    made = publish(run, "digits_x", into)
    before = tree(into)
    with pytest.raises(ConfigError, match="exists; choose another --name, or give --replace"):
        publish(run, "digits_x", into)
    assert tree(into) == before
    (made / "left").write_text("over")
    publish(run, "digits_x", into, limits="For doors alone.", replace=True)
    after = tree(into)
    assert after.keys() == before.keys()
    assert "- For doors alone.\n" in (made / "README.md").read_text()
    made.rename(into / "digits_y")  # an export that was given another name
    with pytest.raises(ConfigError, match="no export with a card"):
        publish(run, "digits_y", into, replace=True)


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_cards_by_hand_are_not_replaced(run, tmp_path, content):
    made = publish(run, "digits_x", tmp_path / "models")
    (made / "card.json").unlink()
    if content:
        (made / "card.json").write_text(content)
    before = tree(tmp_path / "models")
    with pytest.raises(ConfigError, match="no export with a card"):
        publish(run, "digits_x", tmp_path / "models", replace=True)
    assert tree(tmp_path / "models") == before


def test_an_unusable_index_is_found_before_anything_is_written(run, tmp_path):
    into = tmp_path / "models"
    into.mkdir()
    (into / "README.md").write_text("no markers")
    with pytest.raises(ConfigError, match="page of models needs"):
        publish(run, "digits_x", into)
    assert set(tree(into)) == {Path("README.md")}


def test_a_first_stages_folder_is_told_without_the_hosts_part(run, tmp_path):
    for path in (run / "config.json", run / "export" / "config.json"):
        config = json.loads(path.read_text())["config"]
        config["train"]["first_stage"] = "/home/me/runs/base/export"
        change(path, config=config)
    made = publish(run, "digits_x", tmp_path / "models")
    config = json.loads((made / "config.json").read_text())["config"]
    assert config["train"]["first_stage"] == "runs/base/export"
    assert not any(b"/home/me" in content for content in tree(made).values())


def test_pages_are_made_again_and_checked(run, tmp_path, capsys):
    into = tmp_path / "models"
    made = publish(run, "digits_x", into)
    pages = [into / "README.md", made / "README.md"]
    right = [page.read_text() for page in pages]
    assert main(["--into", str(into), "--check"]) == 0
    pages[0].write_text(right[0].replace("digits_x", "digits_z"))
    pages[1].write_text(right[1].replace("5.000", "4.000"))
    assert main(["--into", str(into), "--check"]) == 1
    assert capsys.readouterr().out.count("differs") == 2 and "4.000" in pages[1].read_text()
    assert main(["--into", str(into)]) == 0
    assert [page.read_text() for page in pages] == right


@pytest.mark.parametrize("arguments", [["RUN"], ["--name", "x"], ["RUN", "--name", "x", "--check"]])
def test_wrong_usage_is_a_sentence(tmp_path, capsys, arguments):
    assert main([*arguments, "--into", str(tmp_path)]) == 2
    assert "give a RUN and --name" in capsys.readouterr().err
