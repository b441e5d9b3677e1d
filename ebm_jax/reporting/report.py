"""report.html: one self-contained page about a run, built from its workdir's files alone."""

import base64
import json
import os
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import jinja2

from ebm_jax.reporting.files import write_text
from ebm_jax.reporting.panels import draw_groups
from ebm_jax.reporting.progress import human_time
from ebm_jax.reporting.run_record import RunRecord, read_run
from ebm_jax.reporting.tables import flatten, format_number, key_results, label, result_of

EARLIER_SHOWN = 12  # grids of one kind besides the latest: a long run's would fill the page
WIDE = 2.2  # width over height
FIRST = ("prior", "reconstruction")


def _inline(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def _status(record: RunRecord) -> dict:
    """How far the run is, as a word for the badge and a sentence."""
    total, step = record.setting("train.num_steps"), record.step
    pending = [t for t in record.setting("eval.tasks") or [] if t not in record.evaluations]
    if step is None:
        return {"word": "not started", "text": "No step has been logged yet."}
    if not isinstance(total, int):
        return {"word": "unknown", "text": f"Step {format_number(step)}; the length is not known."}
    if step < total:
        return {
            "word": "unfinished",
            "text": f"Unfinished: step {format_number(step)} of {format_number(total)} "
            f"({100 * step / total:.0f} %).",
        }
    if pending:
        return {
            "word": "not evaluated",
            "text": f"Trained for all {format_number(total)} steps; not yet evaluated: "
            f"{', '.join(map(str, pending))}.",
        }
    return {"word": "finished", "text": f"Finished: all {format_number(total)} steps."}


def _count(number: int | None) -> str | None:
    return None if number is None else format_number(number)


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    total, step = record.setting("train.num_steps"), record.step
    evaluated = {e["step"] for e in record.evaluations.values() if isinstance(e.get("step"), int)}
    facts = [
        ("Method", record.setting("method.name")),
        ("Data set", record.setting("data.name")),
        ("Steps", _count(step)),
        ("Batch size", record.setting("data.batch_size")),
        ("Training time", None if record.minutes is None else human_time(60 * record.minutes)),
        ("Checkpoint", _count(record.checkpoint_step)),
        ("Evaluated at step", ", ".join(format_number(s) for s in sorted(evaluated)) or None),
        ("Seed", record.setting("seed")),
        ("Hardware", record.info.get("hardware")),
    ]
    if step is not None and isinstance(total, int) and step != total:
        facts[2] = ("Steps", f"{format_number(step)} of {format_number(total)}")
    return [(name, _text(value)) for name, value in facts if value is not None]


def _text(value) -> str:
    """A setting as it would be typed: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _samples(record: RunRecord) -> list[dict]:
    """Kinds of sample grids, each with its latest and an even choice of the earlier ones."""
    kinds = []
    for kind in sorted(record.samples, key=lambda kind: (*(kind != k for k in FIRST), kind)):
        grids = record.samples[kind]
        images = [
            {"step": None if step is None else format_number(step), "path": path}
            for step, path in grids
        ]
        earlier = images[:-1]
        if len(earlier) > EARLIER_SHOWN:
            last = len(earlier) - 1
            chosen = [round(i * last / (EARLIER_SHOWN - 1)) for i in range(EARLIER_SHOWN)]
            earlier = [earlier[i] for i in chosen]
        for image in (*earlier, images[-1]):
            image["source"] = _inline(image.pop("path").read_bytes())
        kinds.append(
            {
                "title": label(kind),
                "latest": images[-1],
                "earlier": earlier,
                "earlier_count": len(images) - 1,
            }
        )
    return kinds


def _figures(record: RunRecord) -> tuple[dict[str, list[dict]], list[dict]]:
    """Evaluation figures with captions: those of each task, and those of none."""
    captions, owner = {}, {}
    for task, content in record.evaluations.items():
        named = content.get("figures")
        for name, caption in (named if isinstance(named, dict) else {}).items():
            captions[Path(name).stem], owner[Path(name).stem] = str(caption), task
    by_task: dict[str, list[dict]] = {}
    others = []
    for path in record.figures:
        prefixes = [t for t in record.evaluations if f"{path.stem}_".startswith(f"{t}_")]
        task = owner.get(path.stem) or max(prefixes, key=len, default=None)
        png = path.read_bytes()
        figure = {
            "source": _inline(png),
            "caption": captions.get(path.stem) or label(path.stem),
            "wide": _is_wide(png),
        }
        (others if task is None else by_task.setdefault(task, [])).append(figure)
    return by_task, others


def _is_wide(png: bytes) -> bool:
    """Whether a PNG is so wide that its letters would be lost in half a column."""
    width, height = (int.from_bytes(png[start : start + 4]) for start in (16, 20))  # its header
    return width > WIDE * height


def _settings(record: RunRecord) -> list[dict]:
    """The config as one list of rows per group; values outside any group come first."""
    general = {k: v for k, v in record.config.items() if not isinstance(v, dict)}
    groups = {"run": general} if general else {}
    groups |= {k: v for k, v in record.config.items() if isinstance(v, dict) and v}
    return [
        {"title": name, "rows": [(k, _text(v)) for k, v in flatten(group, ".").items()]}
        for name, group in groups.items()
    ]


def _environment(record: RunRecord) -> dict:
    info = record.info
    rows = [("Started", info.get("started")), ("Hardware", info.get("hardware"))]
    rows += [("Git commit", info.get("git_commit"))]
    versions = info.get("versions")
    command = info.get("command")
    return {
        "rows": [(name, _text(value)) for name, value in rows if value is not None],
        "versions": sorted(versions.items()) if isinstance(versions, dict) else [],
        "command": " ".join(command) if isinstance(command, list) else command,
    }


def render_report(record: RunRecord) -> str:
    """The page as text.

    Args:
      record: what the workdir says.

    Returns:
      HTML without scripts or references to anything outside itself.
    """
    figures, other_figures = _figures(record)
    method, dataset = record.setting("method.name"), record.setting("data.name")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("ebm_jax.reporting").joinpath("report.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(
        title=" on ".join(str(part) for part in (method, dataset) if part) or record.workdir.name,
        status=_status(record),
        facts=_facts(record),
        cards=key_results(record.evaluations),
        results=[result_of(task, content) for task, content in record.evaluations.items()],
        figures=figures,
        other_figures=other_figures,
        samples=_samples(record),
        groups=[
            {
                "name": group.name,
                "title": group.title,
                "panels": [{"title": p.title, "source": _inline(p.png)} for p in group.panels],
            }
            for group in draw_groups(record.metrics)
        ],
        settings=_settings(record),
        environment=_environment(record),
        problems=record.problems,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
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
