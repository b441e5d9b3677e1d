"""README and docs/experiments.md: commands run, tables are of docs/results.json, links lead on."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ebm_jax.reporting import results

ROOT = Path(__file__).resolve().parent.parent
README, EXPERIMENTS = (
    (ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/experiments.md")
)


def blocks(language, page):
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.M | re.S)


COMMANDS = [
    line.split(" #")[0].strip()
    for page in (README, EXPERIMENTS)
    for block in blocks("bash", page)
    for line in block.splitlines()
    if any(f"ebm_jax.{module}" in line for module in ("main", "sweep", "reporting.compare"))
]


def test_the_pages_have_commands():
    assert len(COMMANDS) >= 14


PAGES = [path for where in ("", "docs/**/", "pretrained/**/") for path in ROOT.glob(f"{where}*.md")]


def headings(page):
    """The anchors of a page, as the code host makes them of its headings."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    titles = re.findall(r"^#+ (.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(#[^)]+)?\)", page.read_text(encoding="utf-8")):
        file = page.parent / target if target else page
        assert file.exists(), target
        if anchor:
            assert anchor[1:] in headings(file), f"{target}{anchor}"


def test_sections_follow_the_path_of_a_reader():
    """From a picture and one command to the results, how they were measured, and one's own."""
    marks = [
        "\n![",
        "./launch/quickstart.sh ",
        "<!-- quickstart:start -->",
        "<!-- results:start -->",
        *("\n## FID\n", "\n## Extend it\n", "\n## Resume and preemption\n", "\n## Many devices\n"),
        *("\n## When it goes wrong\n", "\n## Citation\n"),
    ]
    places = [README.index(mark) for mark in marks]
    assert places == sorted(places)


def test_tables_are_those_of_the_results_file(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert results.main(["render", "--check"]) == 0, capsys.readouterr()


def test_every_config_has_a_result_or_is_said_not_to_have_run():
    recorded = {row["config"] for row in json.loads((ROOT / "docs" / "results.json").read_text())}
    _, _, told = (ROOT / "docs" / "results.md").read_text(encoding="utf-8").partition("## Not run")
    commands = dict(re.findall(r"^\| \[`(\w+)`\].*`(python -m ebm_jax.main .*)` \|$", told, re.M))
    not_run = {f"configs/{name}.py" for name in commands}
    configs = {f"configs/{path.name}" for path in (ROOT / "configs").glob("*_*.py")}
    configs.discard("configs/__init__.py")
    assert configs == recorded | not_run and not recorded & not_run
    for name, command in commands.items():
        assert f"--config configs/{name}.py --workdir runs/{name}" in command
        if needs_first_stage(name):
            assert "--config.train.first_stage=runs/" in command


def needs_first_stage(name):
    return "--config.train.first_stage" in (ROOT / "configs" / f"{name}.py").read_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)  # of twenty trainings, each of which is short
@pytest.mark.xdist_group("readme")
def test_commands_run_as_written(tmp_path):
    """In the pages' order and one folder, since later ones use what earlier ones made."""
    for command in COMMANDS:
        command = re.sub(r"(configs/\w+\.py)", r"\1:quick", command)
        command = command.replace("runs/", f"{tmp_path}/runs/")
        arguments = [sys.executable, *shlex.split(command)[1:]]
        result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, f"{command}\n{result.stderr}"
    loading, asking = blocks("python", README)
    code = loading.replace("runs/", f"{tmp_path}/runs/") + (
        "\nassert images.shape == (16, 8, 8, 1) and latents[0].shape == (16, 16)"
        "\nassert scores.shape == (16,)\n" + asking + "\nassert images.shape == (16, 28, 28, 1)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "runs" / "digits_joint" / "report.html").exists()
