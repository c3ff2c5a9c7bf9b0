"""HTML from the files in `templates/`: whatever is put into one is escaped, but for what is HTML already."""

from functools import cache
from html import escape
from pathlib import Path
from string import Template

_FOLDER = Path(__file__).with_name("templates")


class Html(str):
    """Text that is HTML, and goes into a page as it is."""

    __slots__ = ()


def filled(name: str, /, **values: object) -> Html:
    """A template with its values; for use in element content and in quoted attributes.

    Raises:
        KeyError: a value is missing.
    """
    known = {key: value if isinstance(value, Html) else escape(str(value)) for key, value in values.items()}
    return Html(_template(name).substitute(known))


def joined(parts: list[Html]) -> Html:
    """One after the other."""
    return Html("".join(parts))


@cache
def _template(name: str) -> Template:
    return Template((_FOLDER / f"{name}.html").read_text(encoding="utf-8").strip())
