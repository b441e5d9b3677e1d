"""report.html: one self-contained page about a run, built from its workdir's files alone."""

import os
from pathlib import Path

from ebm_jax.reporting.explorer import png_size, read_explorer, sprite_of
from ebm_jax.reporting.facts import facts_of, setting_text, status_of
from ebm_jax.reporting.files import write_text
from ebm_jax.reporting.page import inline, render_page
from ebm_jax.reporting.panels import draw_groups
from ebm_jax.reporting.run_record import RunRecord, read_run
from ebm_jax.reporting.samples import samples_of
from ebm_jax.reporting.tables import flatten, key_results, label, result_of

WIDE = 2.2  # width over height


def _figures(record: RunRecord) -> tuple[dict[str, list[dict]], list[dict]]:
    """Evaluation figures with captions: those of each task, and those of none."""
    captions, owner = {}, {}
    for task, content in record.evaluations.items():
        named = content.get("figures")
        for name, caption in (named if isinstance(named, dict) else {}).items():
            captions[Path(name).stem], owner[Path(name).stem] = str(caption), task
    by_task: dict[str, list[dict]] = {}
    others = []
    sprites = {sprite_of(content) for content in record.evaluations.values()}
    for path in record.figures:
        if path.name in sprites:
            continue
        prefixes = [t for t in record.evaluations if f"{path.stem}_".startswith(f"{t}_")]
        task = owner.get(path.stem) or max(prefixes, key=len, default=None)
        png = path.read_bytes()
        figure = {
            "source": inline(png),
            "caption": captions.get(path.stem) or label(path.stem),
            "wide": _is_wide(png),
        }
        (others if task is None else by_task.setdefault(task, [])).append(figure)
    return by_task, others


def _is_wide(png: bytes) -> bool:
    """Whether a PNG is so wide that its letters would be lost in half a column."""
    width, height = png_size(png)
    return width > WIDE * height


def _settings(record: RunRecord) -> list[dict]:
    """The config as one list of rows per group; values outside any group come first."""
    general = {k: v for k, v in record.config.items() if not isinstance(v, dict)}
    groups = {"run": general} if general else {}
    groups |= {k: v for k, v in record.config.items() if isinstance(v, dict) and v}
    return [
        {"title": name, "rows": [(k, setting_text(v)) for k, v in flatten(group, ".").items()]}
        for name, group in groups.items()
    ]


def _environment(record: RunRecord) -> dict:
    info = record.info
    rows = [("Started", info.get("started")), ("Hardware", info.get("hardware"))]
    rows += [("Git commit", info.get("git_commit"))]
    versions = info.get("versions")
    command = info.get("command")
    return {
        "rows": [(name, setting_text(value)) for name, value in rows if value is not None],
        "versions": sorted(versions.items()) if isinstance(versions, dict) else [],
        "command": " ".join(command) if isinstance(command, list) else command,
    }


def render_report(record: RunRecord) -> str:
    """The page as text.

    Args:
      record: what the workdir says.

    Returns:
      HTML without references to anything outside itself; with a script only where the JSON of a
      task describes an explorer (see `explorer`).
    """
    problems = list(record.problems)
    explorers = {
        task: found
        for task, content in record.evaluations.items()
        if (found := read_explorer(record.workdir / "eval", task, content, problems))
    }
    figures, other_figures = _figures(record)
    method, dataset = record.setting("method.name"), record.setting("data.name")
    return render_page(
        "report.html",
        title=" on ".join(str(part) for part in (method, dataset) if part) or record.workdir.name,
        status=status_of(record),
        facts=facts_of(record),
        cards=key_results(record.evaluations),
        results=[result_of(task, content) for task, content in record.evaluations.items()],
        explorers=explorers,
        figures=figures,
        other_figures=other_figures,
        samples=samples_of(record),
        groups=[
            {
                "name": group.name,
                "title": group.title,
                "panels": [{"title": p.title, "source": inline(p.png)} for p in group.panels],
            }
            for group in draw_groups(record.metrics)
        ],
        settings=_settings(record),
        environment=_environment(record),
        problems=problems,
    )


def write_report(workdir: str | os.PathLike) -> Path:
    """Builds `report.html` in a workdir from the files there; parts that are missing are left out.

    Args:
      workdir: the run's folder.

    Returns:
      The page's path.

    Raises:
      ConfigError: there is no such folder.
    """
    return write_text(Path(workdir) / "report.html", render_report(read_run(workdir)))
