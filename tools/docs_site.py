"""What `mkdocs build` needs beside the pages of docs/: a hook, named in mkdocs.yml.

- The API reference: a page for each package of ebm_jax, of its modules' docstrings.
- Pages that stand outside of docs/, as README.md.
- Links out of docs/. They are written for the code host, relative to the repository. In the site
  they lead to the page that shows the file; else to the file at the repository's address, where
  CITATION.cff (`repository-code`) or setup.cfg (`url`) has one; else, for a module, to its place
  in the API reference; else only their text is left.
- Underscores are not emphasis.
"""

import ast
import posixpath
import re
from pathlib import Path

from markdown.extensions import Extension
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ebm_jax"

# Pages from outside of docs/, by their place in the repository.
OUTER_PAGES = {
    "README.md": "readme.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "pretrained/README.md": "pretrained.md",
    "notebooks/README.md": "notebooks.md",
}
_SOURCES = {page: source for source, page in OUTER_PAGES.items()}
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```[^\n]*$)", re.M | re.S)


def api_pages() -> dict[str, str]:
    """Page → Markdown of the API reference."""
    folders = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
    return {_page_of(folder): _page(folder) for folder in folders}


def api_place(path: str) -> str | None:
    """Where a file or folder of the repository stands in the API reference, or None."""
    place = ROOT / path
    if PACKAGE not in (place, *place.parents):
        return None
    if place.is_dir():
        return _page_of(place) if (place / "__init__.py").is_file() else None
    if place.suffix != ".py" or place.name == "__main__.py":
        return None
    if place.name == "__init__.py":
        return _page_of(place.parent)
    return f"{_page_of(place.parent)}#{_module(place)}"


def address() -> str | None:
    """The repository's address, without a slash at its end, or None where none is given."""
    for name, entry in (("CITATION.cff", "repository-code"), ("setup.cfg", "url")):
        found = re.search(rf"^{entry}\s*[:=]\s*(\S+)", (ROOT / name).read_text("utf-8"), re.M)
        if found:
            return found[1].strip("\"'").rstrip("/").removesuffix(".git")
    return None


def linked(markdown: str, page: str, base: str | None) -> str:
    """A page's Markdown with links that hold in the site.

    Args:
      markdown: as in the repository.
      page: its place in the site.
      base: the repository's address, or None.
    """
    source = _SOURCES.get(page, f"docs/{page}")

    def replaced(match):
        picture, text, target = match.groups()
        if re.match(r"\w+:|#", target):
            return match[0]
        path, mark, anchor = target.partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
        for index in ("README.md", "index.md"):
            if (ROOT / path / index).is_file():
                path = posixpath.join(path, index)
        module = api_place(path)
        if path.startswith("docs/"):
            place = path.removeprefix("docs/")
        elif path in OUTER_PAGES:
            place = OUTER_PAGES[path]
        elif base and (ROOT / path).is_file():
            return f"{picture}[{text}]({base}/blob/HEAD/{path}{mark}{anchor})"
        elif module is not None:
            place, mark, anchor = module.partition("#")
        else:
            return f"{picture}[{text}]({base}/tree/HEAD/{path})" if base else text
        place = posixpath.relpath(place, posixpath.dirname(page) or ".")
        return f"{picture}[{text}]({place}{mark}{anchor})"

    parts = _FENCE.split(markdown)
    parts[::2] = [_LINK.sub(replaced, part) for part in parts[::2]]
    return "".join(parts)


class PlainUnderscores(Extension):
    """No emphasis by underscores, which formulas are full of: σ̄_t/σ̄_0 · σ²_{t+1}."""

    def extendMarkdown(self, md):
        md.delimiters.remove("_")


def on_config(config):
    """mkdocs: the settings before anything is read."""
    config.markdown_extensions.append(PlainUnderscores())
    return config


def on_files(files, config):
    """mkdocs: the pages beside those of docs/."""
    for page, text in api_pages().items():
        files.append(File.generated(config, page, content=text))
    for source, page in OUTER_PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown, page, config, files):
    """mkdocs: a page before it becomes HTML."""
    return linked(markdown, page.file.src_uri, address())


def _module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def _page_of(folder: Path) -> str:
    return "api/index.md" if folder == PACKAGE else f"api/{folder.name}.md"


def _page(folder: Path) -> str:
    """The package's docstring and what its __init__ defines, then its modules."""
    own = ast.parse((folder / "__init__.py").read_text("utf-8")).body
    named = [node.name for node in own if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    named = [name for name in named if not name.startswith("_")]
    name = _module(folder)
    options = (f"members: [{', '.join(named)}]", "show_root_heading: false")
    entries = [f"# {name}\n", _entry(name, *options)]
    for path in sorted(folder.glob("*.py")):
        if not path.name.startswith("__"):
            entries.append(_entry(_module(path)))
    return "\n".join(entries)


def _entry(module: str, *options: str) -> str:
    lines = "".join(f"      {option}\n" for option in ("heading_level: 2", *options))
    return f"::: {module}\n    options:\n{lines}"
