"""Sample grids on a page: in which order their kinds come, and which of a long run's are shown."""

from collections.abc import Iterable

from ebm_jax.reporting.page import inline
from ebm_jax.reporting.run_record import RunRecord
from ebm_jax.reporting.tables import format_number, label

EARLIER_SHOWN = 12  # grids of one kind besides the latest: a long run's would fill the page
FIRST = ("prior", "reconstruction")


def kinds_of(kinds: Iterable[str]) -> list[str]:
    """Kinds of samples in the order of the page."""
    return sorted(kinds, key=lambda kind: (*(kind != first for first in FIRST), kind))


def samples_of(record: RunRecord) -> list[dict]:
    """Kinds of sample grids, each with its latest and an even choice of the earlier ones."""
    kinds = []
    for kind in kinds_of(record.samples):
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
            image["source"] = inline(image.pop("path").read_bytes())
        kinds.append(
            {
                "title": label(kind),
                "latest": images[-1],
                "earlier": earlier,
                "earlier_count": len(images) - 1,
            }
        )
    return kinds
