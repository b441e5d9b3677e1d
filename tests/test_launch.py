"""The launch scripts: lint, and errors that are sentences."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = [*sorted((ROOT / "launch").glob("*.s[hb]*")), ROOT / ".ci" / "run"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.name)
def test_syntax(script):
    result = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_shellcheck():
    shellcheck = str(Path(sys.executable).with_name("shellcheck"))
    command = [shellcheck, "--external-sources", "--shell=bash", *map(str, SCRIPTS)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    "arguments, code, words",
    [
        (["quickstart.sh", "--help"], 0, "usage: ./launch/quickstart.sh [workdir]"),
        (["quickstart.sh", "-x"], 2, "error: '-x' is no folder; usage: "),
        (["test.sh", "--help"], 0, "usage: ./launch/test.sh [--all] [pytest arguments]\n  --all "),
    ],
)
def test_usage_is_told_without_installing_anything(checkout, arguments, code, words):
    command = [str(checkout / "launch" / arguments[0]), *arguments[1:]]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert done.returncode == code and words in done.stdout + done.stderr
    assert not (checkout / ".venv").exists()


@pytest.fixture
def checkout(tmp_path):
    """A copy without .venv: nothing is installed by these tests."""
    shutil.copytree(ROOT / "launch", tmp_path / "launch")
    for file in ROOT.glob("requirements*.txt"):
        shutil.copy(file, tmp_path)
    return tmp_path


def run(checkout, **environment):
    return subprocess.run(
        [str(checkout / "launch" / "quickstart.sh")],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_unknown_accelerator(checkout):
    result = run(checkout, EBM_JAX_ACCELERATOR="abacus")
    assert result.returncode == 2
    assert "EBM_JAX_ACCELERATOR is 'abacus'; use cpu, cuda or tpu." in result.stderr


def test_no_python(checkout):
    result = run(checkout, PYTHON="/nowhere/python")
    assert result.returncode == 2
    assert "no Python >= 3.11" in result.stderr
    assert not (checkout / ".venv").exists()


def test_python_that_can_make_no_venv(checkout):
    """Debian's without python3-venv: it has venv and no ensurepip."""
    python = checkout / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1 ;; esac\n')
    python.chmod(0o755)
    result = run(checkout, PYTHON=str(python))
    assert result.returncode == 2
    assert result.stderr.startswith("error: no Python >= 3.11 with venv and ensurepip found;")
    assert result.stderr.count("\n") == 1 and not (checkout / ".venv").exists()


def test_what_is_installed_is_what_setup_cfg_allows():
    """Each pin of requirements.txt satisfies the range of setup.cfg."""
    import configparser

    from packaging.requirements import Requirement

    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    ranges = {
        Requirement(line).name: Requirement(line).specifier
        for line in config["options"]["install_requires"].split("\n")
        if line
    }
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line)
    assert set(ranges) <= set(pins)
    for name, allowed in ranges.items():
        assert pins[name] in allowed, name


TOOLS = ("bash", "cat", "cp", "dirname", "mkdir", "sed")
PYTHON = (
    '#!/bin/bash\nif [ "$1 $2" = "-m venv" ]; then\n'
    'mkdir -p "$3/bin" "$3/lib/python3.9/site-packages"\n'
    'cp "$0" "$3/bin/python"; fi\n'
)
APT = '#!/bin/bash\necho "$@" >>"$APT_CALLS"; echo noise; exit "$APT_CODE"\n'


def run_all_tests(checkout, arguments=("--all",), user="0", code="0", extra=()):
    """test.sh where nothing but stubs can be called: its output, and the calls of apt-get."""
    stubs, calls = checkout / "bin", checkout / "calls"
    stubs.mkdir()
    for tool in TOOLS:
        (stubs / tool).symlink_to(shutil.which(tool))
    scripts = {"python3": PYTHON, "apt-get": APT, "id": f"#!/bin/bash\necho {user}\n"}
    for name, text in (scripts | {name: "#!/bin/bash\n" for name in extra}).items():
        (stubs / name).write_text(text)
        (stubs / name).chmod(0o755)
    result = subprocess.run(
        [shutil.which("bash"), str(checkout / "launch" / "test.sh"), *arguments],
        env={"PATH": str(stubs), "APT_CALLS": str(calls), "APT_CODE": code},
        capture_output=True,
        text=True,
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout, calls.read_text().splitlines() if calls.exists() else []


def test_the_package_is_found_from_other_folders(checkout):
    run_all_tests(checkout, arguments=())
    (path,) = (checkout / ".venv" / "lib").glob("python*/site-packages/ebm_jax.pth")
    (checkout / "ebm_jax").mkdir()
    (checkout / "ebm_jax" / "__init__.py").touch()
    code = f"import site; site.addsitedir({str(path.parent)!r}); import ebm_jax; print(ebm_jax)"
    command = [sys.executable, "-I", "-S", "-c", code]  # what an interpreter does with its own
    done = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert str(checkout / "ebm_jax") in done.stdout, done.stderr


@pytest.mark.parametrize("code, failed", [("0", False), ("100", True)])
def test_root_gets_a_browser_for_all_tests(checkout, code, failed):
    output, calls = run_all_tests(checkout, code=code)
    assert "installing chromium and chromium-driver" in output and "noise" not in output
    assert calls == (["update"] if failed else ["update", "install -y chromium chromium-driver"])
    assert ("tests of the pages in a browser are skipped" in output) == failed


@pytest.mark.parametrize(
    "options", [{"arguments": ()}, {"user": "1000"}, {"extra": ("chromium", "chromedriver")}]
)
def test_nothing_else_installs_one(checkout, options):
    output, calls = run_all_tests(checkout, **options)
    assert "chromium" not in output and not calls
