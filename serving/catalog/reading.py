"""A catalog from the shop's file: JSON lines or CSV. Every line is an item or is listed with what is wrong with it."""

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from schemas.decode import ID_MAX_BYTES
from schemas.timestamps import EARLIEST_MS, parse_rfc3339
from serving.catalog.item import Item

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]").search
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")
LATEST_MS: Final = 7_258_118_400_000
"""2200-01-01: later times are taken for a mistake."""
LONGEST_LINE: Final = 1 << 20
"""Bytes of a line of JSON; longer ones are listed as faulty."""
MOST_TAGS: Final = 100


class CatalogError(Exception):
    """A catalog that cannot be read at all; the message says why."""


class Fault(NamedTuple):
    """A line that is no item."""

    line: int
    """Counted from 1; the line on which a record of CSV ends."""
    field: str | None
    """The field at fault; None: the whole line."""
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: " + (f"{self.field}: " if self.field else "") + self.message


class _FieldError(ValueError):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(slots=True)
class Reading:
    """What was read of a file so far: items + faults + repeated = lines that are not empty."""

    items: int = 0
    faults: list[Fault] = field(default_factory=list)
    repeated: int = 0
    """Lines whose item stands again further down: the last one counts."""
    ignored: Counter[str] = field(default_factory=Counter)
    """Fields that mean nothing here: how often each was there."""


def read_catalog(path: Path, reading: Reading, on_bytes: Callable[[int], None] = lambda done: None) -> list[Item]:
    """All items of a file, in its order; of one that stands there twice the last. `.csv` is CSV, all else JSON lines.

    `reading` is filled on the way; `on_bytes` gets how much of the file is read, now and then.

    Raises:
        CatalogError: there is no such file, it is no UTF-8 text, or CSV without an `item_id` column.
    """
    found: dict[str, Item] = {}
    rows = _csv_rows if path.suffix.lower() == ".csv" else _json_rows
    try:
        for line, row in rows(path, on_bytes):
            try:
                item = item_of(row, reading.ignored) if isinstance(row, dict) else None
                if item is None:
                    raise _FieldError("", "is no object of JSON" if row is None else str(row))
            except _FieldError as error:
                reading.faults.append(Fault(line, error.field or None, str(error)))
                continue
            reading.repeated += item.item_id in found
            found[item.item_id] = item
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: is no UTF-8 text ({error.reason} at byte {error.start})") from error
    except csv.Error as error:
        raise CatalogError(f"{path}: is no CSV: {error}") from error
    reading.items = len(found)
    return list(found.values())


def item_of(row: dict[str, Any], ignored: Counter[str]) -> Item:
    """One item; texts of CSV are read as what the field is. Empty fields count as not there."""
    known: dict[str, Any] = {}
    for name, value in row.items():
        if value is None or value == "":
            continue
        read = _FIELDS.get(name)
        if read is None:
            if name in ("price", "id", "product_id"):
                right = "price_cents, in whole minor units" if name == "price" else "item_id"
                raise _FieldError(name, f"write {right}")
            ignored[name] += 1
            continue
        try:
            known["listed_ms" if name == "listed_at" else name] = read(value)
        except ValueError as error:
            raise _FieldError(name, str(error)) from None
    if "item_id" not in known:
        raise _FieldError("item_id", "is missing")
    return Item(**known)


def _csv_rows(path: Path, on_bytes: Callable[[int], None]) -> Iterator[tuple[int, Any]]:
    with path.open("rb") as raw, TextIOWrapper(raw, encoding="utf-8-sig", newline="") as lines:
        rows = csv.DictReader(lines, strict=True)
        if "item_id" not in (rows.fieldnames or ()):
            raise CatalogError(f"{path}: the first line must name the columns, item_id among them")
        for row in rows:
            extra = row.pop(None, None)  # where csv puts what has no column
            yield rows.line_num, f"has {len(extra)} fields more than the first line" if extra else row
            if rows.line_num % 1000 == 0:
                on_bytes(raw.tell())


def _json_rows(path: Path, on_bytes: Callable[[int], None]) -> Iterator[tuple[int, Any]]:
    decode = msgspec.json.Decoder(dict[str, Any]).decode
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            if len(line) > LONGEST_LINE:
                yield number, f"has more than {LONGEST_LINE:,} bytes"
                continue
            try:
                yield number, decode(line.removeprefix(b"\xef\xbb\xbf"))
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                yield number, f"is no object of JSON: {error}"
            if number % 1000 == 0:
                on_bytes(lines.tell())


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    return value


def _label(value: Any) -> str:
    """An id or a name that becomes part of a key."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value)
    if len(text.encode("utf-8", "surrogatepass")) > ID_MAX_BYTES:
        raise ValueError(f"is longer than {ID_MAX_BYTES} bytes")
    if _CONTROL(text):
        raise ValueError("holds a control character")
    return text


def _tags(value: Any) -> tuple[str, ...]:
    """A list, or a text with | between the tags."""
    listed = value.split("|") if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise ValueError('must be a list of texts, or in CSV a text such as "sale|summer"')
    if len(listed) > MOST_TAGS:
        raise ValueError(f"has {len(listed)} tags, at most {MOST_TAGS} are allowed")
    return tuple(dict.fromkeys(tag for tag in (_label(one).strip() for one in listed) if tag))


def _truth(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    written = str(value).strip().lower()
    if written not in (*_TRUE, *_FALSE):
        raise ValueError("must be true or false")
    return written in _TRUE


def _cents(value: Any) -> int:
    written = value.strip() if isinstance(value, str) else value
    if isinstance(written, str) and written.isascii() and written.isdecimal():
        written = int(written)
    if not isinstance(written, int) or isinstance(written, bool) or not 0 <= written < 1 << 53:
        raise ValueError("must be a whole number of minor units that is not negative, such as 1250 for 12.50")
    return written


def _time(value: Any) -> int:
    """RFC 3339, or milliseconds since 1970."""
    if isinstance(value, str) and not value.isdecimal():
        return parse_rfc3339(value)
    if isinstance(value, bool) or not isinstance(value, int | str) or not EARLIEST_MS <= int(value) <= LATEST_MS:
        raise ValueError("must be a time such as 2026-03-01T00:00:00Z, or milliseconds since 1970")
    return int(value)


_FIELDS: Final[dict[str, Callable[[Any], Any]]] = {
    "item_id": _label,
    "category": _label,
    "tags": _tags,
    "in_stock": _truth,
    "price_cents": _cents,
    "title": _text,
    "url": _text,
    "image_url": _text,
    "listed_at": _time,
    "listed_ms": _time,
}
