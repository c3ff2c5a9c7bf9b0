"""Why a record was not accepted, and the line that tells the outside world."""

import base64
from enum import StrEnum
from typing import Any, Final

import msgspec

DETAIL_MAX_CHARS: Final = 500
"""A detail quotes foreign input, so it is cut at this length."""
RAW_MAX_BYTES: Final = 256 << 10
"""Of a rejected record of a topic: what is quoted of it at most."""


class Reason(StrEnum):
    """Machine-readable reasons; names never change once released, dashboards and alerts count on them."""

    MALFORMED_JSON = "malformed_json"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_UNICODE = "invalid_unicode"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    UNKNOWN_TYPE = "unknown_type"
    NO_SUBJECT = "no_subject"
    EMPTY_EVENT_ID = "empty_event_id"
    INVALID_ID = "invalid_id"
    ID_TOO_LONG = "id_too_long"
    INVALID_TIMESTAMP = "invalid_timestamp"
    TIMESTAMP_TOO_OLD = "timestamp_too_old"
    TIMESTAMP_IN_FUTURE = "timestamp_in_future"
    INVALID_QUANTITY = "invalid_quantity"
    INVALID_AMOUNT = "invalid_amount"
    CURRENCY_UNKNOWN = "currency_unknown"
    RECORD_TOO_LARGE = "record_too_large"
    NOT_A_SHOP_EVENT = "not_a_shop_event"
    UNREADABLE_ROW = "unreadable_row"
    NULL_VALUE = "null_value"
    KEY_MISMATCH = "key_mismatch"
    TOO_LATE = "too_late"
    INVALID_CONTROL = "invalid_control"


class Rejected(Exception):  # noqa: N818 - an outcome of a record, not an error of the program
    """A record that cannot be used: `reason` for machines, `detail` for the person who has to mend the producer."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = shorten(detail)

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


def shorten(text: str) -> str:
    """The text in a form that can always be written out: bounded, printable, no lone surrogates."""
    if len(text) > DETAIL_MAX_CHARS:
        text = f"{text[:DETAIL_MAX_CHARS]}…"
    return text if text.isprintable() else "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    reason: str
    detail: str
    place: str
    raw: str | None = None
    raw_base64: str | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    raw_bytes: int | None = None


_encode = msgspec.json.Encoder().encode


def rejected_record(reason: str, detail: str, place: str, raw: bytes) -> bytes:
    """One JSON line without its newline: `reason`, `detail`, `place`, and `raw` (or `raw_base64` if not UTF-8).

    The same input gives the same bytes. The raw record can be restored to the byte from either form.
    """
    return _encode(_Line(reason, detail, shorten(place), **_raw(raw)))


def rejected_from_topic(reason: str, detail: str, place: str, raw: bytes, raw_bytes: int | None = None) -> bytes:
    """The same for a record of a topic, whose place is `topic:partition:offset`: these are fields of their own as well.

    So that it always fits into a record itself, at most RAW_MAX_BYTES of the raw record are in it; `raw_bytes` then
    says how many there were (an argument where the caller has cut it already).
    """
    topic, _, rest = place.rpartition(":")[0].rpartition(":")
    offset = place.rpartition(":")[2]
    known = topic and rest.isdecimal() and offset.isdecimal()
    size = len(raw) if raw_bytes is None else raw_bytes
    return _encode(
        _Line(
            reason,
            detail,
            shorten(place),
            **_raw(raw) if len(raw) <= RAW_MAX_BYTES else _raw(_beginning(raw)),
            topic=shorten(topic) if known else None,
            partition=int(rest) if known else None,
            offset=int(offset) if known else None,
            raw_bytes=size if size > RAW_MAX_BYTES else None,
        )
    )


def _beginning(raw: bytes) -> bytes:
    """What is quoted of a long record: no character is cut in two, if it is text."""
    end = RAW_MAX_BYTES
    while raw[end] & 0xC0 == 0x80 and RAW_MAX_BYTES - end < 3:  # a character has four bytes at most
        end -= 1
    return raw[:end]


def _raw(raw: bytes) -> dict[str, Any]:
    try:
        return {"raw": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"raw_base64": base64.b64encode(raw).decode("ascii")}
