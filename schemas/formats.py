"""Which format a log has, told from its first records."""

from collections.abc import Iterable
from enum import StrEnum
from itertools import islice
from typing import Any, Final

import msgspec

from schemas.adapters import online_retail, segment
from schemas.records import LogError

SAMPLE_LINES: Final = 100
"""A log is told by the first of this many records that says what it is."""


class Format(StrEnum):
    """Formats of logs; `auto` finds out which."""

    AUTO = "auto"
    CANONICAL = "canonical"
    SEGMENT = "segment"
    GA4 = "ga4"
    ONLINE_RETAIL = "online-retail"


def parse_format(name: str) -> Format:
    """The format of that name.

    Raises:
        LogError: there is none; the message names those that there are.
    """
    try:
        return Format(name)
    except ValueError:
        raise LogError(f"unknown format {name!r}; choose one of {', '.join(Format)}") from None


def detect(name: str, lines: Iterable[bytes]) -> Format:
    """The format of a log that begins with these records; canonical, if nothing says otherwise.

    Raises:
        LogError: it is a kind of file that cannot be a log of any format.
    """
    sample = list(islice(lines, SAMPLE_LINES))
    if sample and online_retail.is_header(sample[0]):
        return Format.ONLINE_RETAIL
    told = [found for line in sample if (found := _format_of(line))]
    # A log may begin with a line that is out of order: what looks like another file is refused only if the rest does.
    if sample and 2 * len(told) < len(sample):
        _refuse_other_files(name, sample[0])
    return told[0] if told else Format.CANONICAL


def _refuse_other_files(name: str, line: bytes) -> None:
    text = line.strip()
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise LogError(f"{name}: UTF-16 text; write it again as UTF-8")
    if text in (b"[", b"{") or text.startswith(b"[{"):
        raise LogError(f"{name}: one JSON document over the whole file; one object a line is needed, see `jq -c`")
    if name.removesuffix(".gz").removesuffix(".xz").removesuffix(".zst").endswith(".csv") and not text.startswith(b"{"):
        raise LogError(f"{name}: a CSV file with a header other than Online Retail's; convert it to JSON lines")


def _format_of(line: bytes) -> Format | None:
    try:
        document: Any = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    if "event_name" in document and "event_timestamp" in document:
        return Format.GA4
    if "event_id" in document:  # before Segment, as "identify" is a type of both
        return Format.CANONICAL
    kind = document.get("type")
    if isinstance(kind, str) and kind in segment.TYPES:
        return Format.SEGMENT
    return None if kind is None else Format.CANONICAL
