"""The file of banners and messages: TOML under version control, checked whole, each fault with its line and column.

::

    [content.vip-banner]
    slot = "home-top"
    when = 'segment("high-value") and recency_ms <= days(30)'
    priority = 10
    title = "Thank you"
    text = "Free delivery for you this week."
    url = "/vip"
"""

import hashlib
from pathlib import Path
from typing import Any, Final

from serving.checked_toml import CheckedToml
from serving.conditions import AnySegment, condition_set
from serving.content.entry import Content, Entry
from state.rules import tree
from state.rules.files import read_text

_SHOWN: Final = ("kind", "title", "text", "url", "image_url")
_KEYS: Final = ("description", "slot", "when", "priority", "from", "until", *_SHOWN, "data")
_EXAMPLE: Final = "[content.vip-banner]"
MOST_ENTRIES: Final = 1_000


def load_content(path: Path, segments: frozenset[str] | None = None) -> Content:
    """Read a file of content; `segments`: names that conditions may refer to, None: any.

    Raises:
        RuleError: it cannot be read, or has faults; all of them are in `problems`.
    """
    return parse_content(read_text(path), str(path), segments)


def parse_content(text: str, source: str = "content.toml", segments: frozenset[str] | None = None) -> Content:
    """Check the text of a file of content; `source` names it in messages.

    Raises:
        RuleError: it has faults; all of them are in `problems`.
    """
    toml = CheckedToml(text, source)
    toml.only((), toml.content, ("content",))
    conditions: list[tree.Condition] = []
    tables = toml.tables("content", _EXAMPLE)
    if not tables and not toml.problems:
        toml.report(("content",), f"has no content; write at least one table such as {_EXAMPLE}")
    if len(tables) > MOST_ENTRIES:
        toml.report(("content",), f"has {len(tables):,} entries, at most {MOST_ENTRIES:,} are allowed")
    known = AnySegment() if segments is None else segments
    found = [_entry(toml, name, table, known, conditions) for name, table in tables.items()]
    toml.finish()
    entries = sorted((entry for entry in found if entry is not None), key=lambda entry: -entry.priority)
    version = hashlib.sha256(text.encode()).hexdigest()[:12]
    return Content(tuple(entries), condition_set(conditions) if conditions else None, version)


def _entry(
    toml: CheckedToml, name: str, table: dict[str, Any], segments: frozenset[str], conditions: list[tree.Condition]
) -> Entry | None:
    path = ("content", name)
    toml.only(path, table, _KEYS)
    toml.text(path, table, "description")
    slot = toml.text(path, table, "slot")
    if "slot" not in table:
        toml.report(path, 'needs a slot: where on the page it goes, such as slot = "home-top"')
    fields: dict[str, Any] = {key: toml.text(path, table, key) for key in _SHOWN if key in table}
    if "data" in table and not isinstance(table["data"], dict):
        toml.report((*path, "data"), "data must be a table")
    elif "data" in table:
        fields["data"] = _plain(table["data"])
    if not fields and "data" not in table:
        toml.report(path, f"shows nothing: write one of {', '.join((*_SHOWN, 'data'))}")
    priority = toml.number(path, table, "priority", -1_000_000, 1_000_000, whole=True)
    from_ms, until_ms = toml.span_ms(path, table)
    condition = toml.condition(path, table, "when", segments)
    if slot is None:
        return None
    bit = None
    if condition is not None:
        bit = len(conditions)
        conditions.append(condition)
    return Entry(name, slot, int(priority or 0), fields, from_ms, until_ms, bit, table.get("when"))


def _plain(value: Any) -> Any:
    """What TOML has and JSON has not (times) as text."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, str | bool | int | float) else value.isoformat()
