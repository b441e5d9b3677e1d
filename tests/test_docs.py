"""The docs: their snippets run, every page is in the site's nav, the site can be built and read
offline."""

import ast
import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))

SNIPPETS = [
    pytest.param(page, number, code, id=f"{page}-{number}")
    for page in ("samplers.md", "extending.md")
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", (DOCS / page).read_text("utf-8"), re.M | re.S), 1
    )
]


def test_the_pages_have_snippets():
    assert len(SNIPPETS) >= 8


@pytest.mark.parametrize("page, number, code", SNIPPETS)
def test_snippets_run_alone(page, number, code):
    exec(compile(code, f"docs/{page}, snippet {number}", "exec"), {"__name__": "snippet"})


@pytest.mark.parametrize("page, number, code", SNIPPETS)
def test_snippets_say_what_comes_out(page, number, code):
    assert any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(code)))


def test_times_are_those_of_the_readme():
    """docs/reproducing.md has the least and the most minutes of a data set in README's table."""
    readme = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (\w+) \|.*\[`(\w+)`\]\(configs/.*\| ([\d.]+) \|$", readme, re.M)
    page = (DOCS / "reproducing.md").read_text("utf-8")
    told = re.findall(r"^\| (.+) \| ([\d.]+) \(`(\w+)`\) \| ([\d.]+) \(`(\w+)`\) \|$", page, re.M)
    assert len(told) == 4
    for words, least, fastest, most, slowest in told:
        name = {"MNIST": "mnist", "Fashion-MNIST": "fashion_mnist"}.get(words)
        name = name or (re.search(r"`(\w+)`", words) or [None, words])[1]
        minutes = {config: float(text) for data, config, text in rows if data == name}
        assert (float(least), fastest) == min((m, config) for config, m in minutes.items())
        assert (float(most), slowest) == max((m, config) for config, m in minutes.items())


def test_tests_of_faults_are_there():
    """Every row of docs/faults.md names a test, every named one exists, and none is left out."""
    page = (DOCS / "faults.md").read_text("utf-8")
    rows = re.findall(r"^\| (?!.* \| test \|$).*", page, re.M)
    named = [re.findall(r"\[`(test_\w+)`\]\(([\w./]+\.py)\)", row) for row in rows]
    assert len(rows) > 25 and all(named)
    named = {pair for pairs in named for pair in pairs}
    for test, file in named:
        assert f"\ndef {test}(" in (DOCS / file).read_text("utf-8"), f"{test} is not in {file}"
    for path in (ROOT / "tests" / "faults").glob("test_*.py"):
        for test in re.findall(r"^def (test_\w+)\(", path.read_text("utf-8"), re.M):
            assert (test, f"../tests/faults/{path.name}") in named, f"add {test} to docs/faults.md"


def nav():
    """The pages of mkdocs.yml's nav."""
    _, _, entries = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")
    return re.findall(r"([\w./-]+\.md)$", entries, re.M)


def test_every_page_is_in_the_nav():
    missing = [page for page in PAGES if page not in nav()]
    assert not missing, f"add these to the nav of mkdocs.yml: {missing}"
    assert len(set(nav())) == len(nav())


def test_every_package_has_a_page_of_the_api_reference():
    packages = {path.parent.name for path in (ROOT / "ebm_jax").rglob("__init__.py")} - {"ebm_jax"}
    listed = {page.removeprefix("api/") for page in nav() if page.startswith("api/")}
    assert listed == {f"{name}.md" for name in packages} | {"index.md"}


@pytest.fixture(scope="module")
def hook():
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: requirements-docs.txt")
    spec = importlib.util.spec_from_file_location("docs_site", ROOT / "tools" / "docs_site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "link, page, base, expected",
    [
        ("[a](joint.md#x)", "methods/hat.md", None, "[a](joint.md#x)"),
        ("[a](#x)", "methods/hat.md", None, "[a](#x)"),
        ("[a](https://b.c)", "index.md", None, "[a](https://b.c)"),
        ("[a](../README.md#fid)", "evaluation.md", None, "[a](readme.md#fid)"),
        ("[a](docs/methods/hat.md)", "readme.md", None, "[a](methods/hat.md)"),
        ("![a](docs/images/b.png)", "readme.md", None, "![a](images/b.png)"),
        ("[a](mnist_nvae/README.md)", "pretrained.md", None, "a"),
        ("[`a[0]`](../configs/base.py)", "index.md", None, "`a[0]`"),
        (
            "[a](../configs/base.py)",
            "index.md",
            "https://b.c/d",
            "[a](https://b.c/d/blob/HEAD/configs/base.py)",
        ),
        (
            "[a](../../ebm_jax/methods/hat.py)",
            "methods/hat.md",
            None,
            "[a](../api/methods.md#ebm_jax.methods.hat)",
        ),
        ("[a](../ebm_jax/train.py)", "index.md", None, "[a](api/index.md#ebm_jax.train)"),
        ("[a](../ebm_jax/methods/__init__.py)", "index.md", None, "[a](api/methods.md)"),
        ("[a](../ebm_jax/data/sources)", "index.md", "https://b.c/d", "[a](api/sources.md)"),
        ("[a](../notebooks)", "index.md", None, "[a](notebooks.md)"),
        ("[a](docs/methods/)", "readme.md", None, "[a](methods/README.md)"),
        ("[a](docs)", "readme.md", None, "[a](index.md)"),
        ("[a](../launch)", "index.md", "https://b.c/d", "[a](https://b.c/d/tree/HEAD/launch)"),
        ("[a](../ebm_jax/nn/convolution_times.json)", "performance.md", None, "a"),
        ("```\n[a](../b.py)\n```", "index.md", None, "```\n[a](../b.py)\n```"),
    ],
)
def test_links_lead_somewhere_in_the_site(hook, link, page, base, expected):
    assert hook.linked(link, page, base) == expected


class Fetched(HTMLParser):
    """What a browser fetches for a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        name = "href" if tag == "link" else "src"
        if tag in ("link", "script", "img", "iframe", "source") and attributes.get(name):
            self.addresses.append(attributes[name])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for package in ("mkdocs", "material", "mkdocstrings"):
        pytest.importorskip(package, reason=f"{package} is not installed: requirements-docs.txt")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
def test_the_site_has_all_pages(site):
    for page in nav():
        path = re.sub(r"README\.md$", "index.md", page).removesuffix(".md") + ".html"
        assert (site / path).is_file(), page


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
def test_the_api_reference_has_the_docstrings(site):
    page = (site / "api" / "samplers.html").read_text("utf-8")
    assert 'id="ebm_jax.samplers.langevin.langevin"' in page
    assert "Langevin dynamics on <code>log_prob</code>" in page
    assert "largest per-example L2 norm of the scaled gradient" in page


@pytest.mark.slow
@pytest.mark.xdist_group("docs")
def test_nothing_is_fetched_from_other_hosts(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) >= len(nav())
    for page in pages:
        addresses = Fetched(page.read_text("utf-8")).addresses
        assert len(addresses) > 3, page
        assert not [a for a in addresses if re.match(r"(\w+:)?//", a)], page
    for sheet in site.rglob("*.css"):
        text = sheet.read_text("utf-8")
        assert not re.search(r"(@import\s+|url\()[\"']?(\w+:)?//", text), sheet
