"""Self-contained HTML pages: templates in `pages/`, images as data URIs, one look for all."""

import base64
from datetime import UTC, datetime

import jinja2


def inline(png: bytes) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")


def render_page(template: str, **values) -> str:
    """Fills in a template of `pages/`.

    Args:
      template: its file's name.
      **values: what it shows; text is escaped. `title` is the page's.

    Returns:
      HTML without references to anything outside itself, which its security policy forbids too.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ebm_jax.reporting", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return environment.get_template(template).render(written=written, **values)
