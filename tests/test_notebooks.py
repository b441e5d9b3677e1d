"""The notebooks: what is committed of them, and that their cells run."""

import json
import os
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from tests.fake_devices import xla_flags

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 600_000
# Of whose machine it ran on, or when.
TRACES = re.compile(
    r"/(home|root|tmp|work|mnt|opt|usr|Users|content)/|site-packages|iopub|https?://(localhost|127)"
)
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def setup_cell(path):
    return code_cells(nbformat.read(path, as_version=4))[0].source


def test_the_folder_names_its_notebooks():
    text = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert len(NOTEBOOKS) == 4
    assert set(re.findall(r"\]\((\w+\.ipynb)\)", text)) == {path.name for path in NOTEBOOKS}


@each_notebook
def test_is_a_valid_notebook_of_reasonable_size(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert path.stat().st_size < MOST_BYTES


@each_notebook
def test_holds_the_outputs_of_one_execution_from_top_to_bottom(path):
    cells = code_cells(nbformat.read(path, as_version=4))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    told = "".join(output.get("text", "") for output in outputs)
    assert "step 60/60" not in told  # not of the quick variant


@each_notebook
def test_tells_nothing_of_the_machine_it_ran_on(path):
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        for output in cell.outputs:
            output.get("data", {}).pop("image/png", None)
    found = TRACES.search(json.dumps(notebook, ensure_ascii=False))
    assert not found, found
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(not cell.metadata for cell in notebook.cells)


def test_all_begin_with_the_same_cell():
    assert len({setup_cell(path) for path in NOTEBOOKS}) == 1


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A folder like the repository's root, so that runs are not made in the latter's."""
    for name in ("ebm_jax", "configs"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    monkeypatch.setenv("EBM_JAX_QUICK", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", f"{os.environ['EBM_JAX_CACHE']}/compiled")
    monkeypatch.setenv("XLA_FLAGS", xla_flags(1))  # one device
    return tmp_path


def execute(notebook, folder):
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()


def test_a_cell_that_raises_fails(elsewhere):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    notebook.cells = code_cells(notebook)[:1]
    notebook.cells.append(nbformat.v4.new_code_cell("raise ArithmeticError(VARIANT)"))
    with pytest.raises(CellExecutionError, match="ArithmeticError.*quick"):
        execute(notebook, elsewhere)


@pytest.mark.slow
@each_notebook
def test_runs(path, elsewhere):
    """Two of them from the folder of the notebooks, two from the root."""
    notebook = nbformat.read(path, as_version=4)
    for cell in code_cells(notebook):
        cell.outputs = []
    execute(notebook, elsewhere / ["notebooks", "."][NOTEBOOKS.index(path) % 2])
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    assert (elsewhere / "runs" / "notebooks" / "quick").is_dir()


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """(folder, commands): google.colab can be imported, and commands are only written down."""
    package = tmp_path / "modules" / "google" / "colab"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    commands = []

    def run(command, **options):
        commands.append((command, options.get("cwd")))
        if command[0] == "git":
            (tmp_path / command[-1] / "ebm_jax").mkdir(parents=True)

    for name in [name for name in sys.modules if name.split(".")[0] == "google"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "modules"), *sys.path])
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.chdir(tmp_path)
    return tmp_path, commands


def test_on_colab_the_repository_is_cloned_and_its_pins_are_installed(colab, monkeypatch):
    folder, commands = colab
    monkeypatch.setenv("EBM_JAX_REPOSITORY", "https://example.org/ebm_jax.git")
    exec(setup_cell(NOTEBOOKS[0]), vars(types.ModuleType("cell")))
    (clone, _), (install, where) = commands
    assert clone[:2] == ["git", "clone"] and "https://example.org/ebm_jax.git" in clone
    assert install[-2:] == ["-r", "requirements.txt"] and where == clone[-1]
    assert Path.cwd() == folder / clone[-1]


def test_on_colab_an_address_is_needed(colab, monkeypatch):
    monkeypatch.delenv("EBM_JAX_REPOSITORY", raising=False)
    with pytest.raises(ValueError, match="REPOSITORY is empty; give the address"):
        exec(setup_cell(NOTEBOOKS[0]), vars(types.ModuleType("cell")))
    assert not colab[1]
