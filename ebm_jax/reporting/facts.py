"""What pages say of a run in words: how far it is, and facts about it."""

import json

from ebm_jax.reporting.progress import human_time
from ebm_jax.reporting.run_record import RunRecord
from ebm_jax.reporting.tables import format_number


def status_of(record: RunRecord) -> dict[str, str]:
    """How far the run is, as a `word` for the badge and a sentence, `text`."""
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


def facts_of(record: RunRecord) -> dict[str, str]:
    """Name → value of what is known about the run, in the order to show it."""
    total, step = record.setting("train.num_steps"), record.step
    evaluated = {e["step"] for e in record.evaluations.values() if isinstance(e.get("step"), int)}
    steps = _count(step)
    if step is not None and isinstance(total, int) and step != total:
        steps = f"{steps} of {format_number(total)}"
    facts = {
        "Method": record.setting("method.name"),
        "Data set": record.setting("data.name"),
        "Steps": steps,
        "Batch size": record.setting("data.batch_size"),
        "Training time": None if record.minutes is None else human_time(60 * record.minutes),
        "Checkpoint": _count(record.checkpoint_step),
        "Evaluated at step": ", ".join(format_number(s) for s in sorted(evaluated)) or None,
        "Seed": record.setting("seed"),
        "Hardware": record.info.get("hardware"),
    }
    return {name: setting_text(value) for name, value in facts.items() if value is not None}


def setting_text(value) -> str:
    """A setting as it would be typed: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _count(number: int | None) -> str | None:
    return None if number is None else format_number(number)
