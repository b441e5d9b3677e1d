"""The tree is lint-free, formatted, and free of what the project promises not to contain."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "ebm_jax").rglob("*.py"))


@pytest.mark.parametrize("arguments", [["check"], ["format", "--check"]])
def test_ruff(arguments):
    result = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "."], cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr


def imports_of(path):
    return re.findall(r"^\s*(?:from|import) ([\w.]+)", path.read_text(), re.M)


def test_no_tensorflow_or_torch_is_imported():
    for path in SOURCES:
        roots = {name.split(".")[0] for name in imports_of(path)}
        assert not roots & {"tensorflow", "torch"}, path


# What a folder may import of the package: the direction of imports, main → … → nn.
ALLOWED = {
    "nn": set(),
    "densities": {"errors"},
    "samplers": set(),
    "models": {"nn", "densities", "errors"},
    "methods": {"samplers", "densities", "models", "nn", "randomness", "measures", "errors"},
    "data": {"measures", "errors"},
    "reporting": {"errors"},
    "evaluation": {
        *("inference", "methods", "samplers", "data", "reporting"),
        *("randomness", "measures", "cache", "compilation", "errors"),
    },
}


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_go_one_way(folder):
    for path in (ROOT / "ebm_jax" / folder).rglob("*.py"):
        for name in imports_of(path):
            if name.startswith("ebm_jax."):
                part = name.split(".")[1]
                assert part == folder or part in ALLOWED[folder], f"{path}: {name}"


def test_main_holds_no_science():
    assert len((ROOT / "ebm_jax" / "main.py").read_text().splitlines()) <= 70
