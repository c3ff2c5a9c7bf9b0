"""Points in time: RFC 3339 text to integer milliseconds since 1970-01-01T00:00:00Z."""

import re
from datetime import UTC, datetime
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST_MS: Final = 631_152_000_000
"""1990-01-01T00:00:00Z: older events are taken for mistakes, seconds given as milliseconds above all."""

_RFC_3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:(\d\d)(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
).fullmatch
_parse = datetime.fromisoformat


def parse_rfc3339(text: str) -> int:
    """Milliseconds since the epoch; further digits of the second are cut off. A leap second is the next second's start.

    Raises:
        ValueError: the text is no RFC 3339 timestamp, has no zone, or names a moment that does not exist.
    """
    # The usual shapes, "2024-05-01T12:00:00Z" and "….123Z": with the marks in their places, nothing but digits parses.
    size = len(text)
    if (
        (size == 20 or (size == 24 and text[19] == "."))
        and text[-1] == "Z"
        and text[4] == text[7] == "-"
        and text[10] == "T"
        and text[13] == text[16] == ":"
        and text[17] != "6"
    ):
        since = _parse(text) - EPOCH
        return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
    match = _RFC_3339(text)
    if match is None:
        raise ValueError("not an RFC 3339 timestamp with a zone, such as 2024-05-01T12:00:00Z")
    if match[1] == "60":
        zone = text[-1] if text[-1] in "Zz" else text[-6:]
        return parse_rfc3339(f"{text[: match.start(1)]}59{zone}") + 1000
    since = _parse(text.upper()) - EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000


def format_ms(time_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, for people; what no calendar can hold comes back as the bare number."""
    try:
        moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{time_ms} ms"
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"
