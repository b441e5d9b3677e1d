"""Pages of which a part is made by a command: what stands between two markers."""

from ebm_jax.errors import ConfigError


def page_with(text: str, table: str, name: str) -> str:
    """A page's text with `table` between its markers.

    Args:
      text: the page.
      table: the new lines, with a line break at their end.
      name: of the markers: `<!-- name:start -->` and `<!-- name:end -->`.

    Raises:
      ConfigError: the markers are not there, each once and in order.
    """
    first, last = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    before, start, rest = text.partition(first)
    _, end, after = rest.partition(last)
    if not start or not end or first in rest or last in after:
        raise ConfigError(f"A page of {name} needs one line '{first}' and, below it, one '{last}'.")
    return f"{before}{first}\n{table}{last}{after}"
