"""Why a record was not accepted, and the line that tells the outside world."""

import base64
from enum import StrEnum
from typing import Final

import msgspec

DETAIL_MAX_CHARS: Final = 500
"""A detail quotes foreign input, so it is cut at this length."""


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


_encode = msgspec.json.Encoder().encode


def rejected_record(reason: str, detail: str, place: str, raw: bytes) -> bytes:
    """One JSON line without its newline: `reason`, `detail`, `place`, and `raw` (or `raw_base64` if not UTF-8).

    The same input gives the same bytes. The raw record can be restored to the byte from either form.
    """
    try:
        return _encode(_Line(reason, detail, shorten(place), raw=raw.decode("utf-8")))
    except UnicodeDecodeError:
        return _encode(_Line(reason, detail, shorten(place), raw_base64=base64.b64encode(raw).decode("ascii")))
