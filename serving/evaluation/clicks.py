"""Click sessions as research publishes them, as canonical events.

Two formats are read, by their header: `SessionId, ItemId, Time` (seconds, separated by tabs), as the session-rec
framework prepares them (Ludewig, Jannach 2018; rn5l/session-rec on GitHub), and RetailRocket's `events.csv`
(`timestamp,visitorid,event,itemid,transactionid`; Kaggle, CC BY-NC-SA 4.0). The data is the user's own download.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import msgspec

_TEXT = "utf-8-sig"
"""UTF-8, with or without the mark that some programs begin a file with."""
_encode = msgspec.json.Encoder().encode
_SESSION_REC = ("SessionId", "ItemId", "Time")
_RETAIL_ROCKET = ("timestamp", "visitorid", "event", "itemid", "transactionid")
_TYPES = {"view": "product_viewed", "addtocart": "product_added"}


class ClicksError(ValueError):
    """A file of clicks that cannot be read; the message names the line."""


def are_clicks(path: Path) -> bool:
    """Whether a file begins with one of the headers above."""
    try:
        with path.open(encoding=_TEXT, errors="replace") as lines:
            header = lines.readline(200).strip()
    except OSError:
        return False
    return tuple(header.split("\t")) == _SESSION_REC or tuple(header.split(",")) == _RETAIL_ROCKET


def click_events(path: Path) -> Iterator[bytes]:
    """The clicks of a file as events, in its order. A session of session-rec is a visitor of its own.

    A click that fits its header may still be no valid event, such as one of the year 3000.

    Raises:
        ClicksError: a line does not fit its header.
    """
    number = 1
    with path.open(encoding=_TEXT, newline="") as lines:
        try:
            tabs = "\t" in lines.readline()
            lines.seek(0)
            convert, width = (_session_rec, len(_SESSION_REC)) if tabs else (_retail_rocket, len(_RETAIL_ROCKET))
            # with tabs a quotation mark is a letter: taken for the begin of a text it would hide the lines behind it
            rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if tabs else csv.reader(lines)
            next(rows)
            for row in rows:
                number = rows.line_num
                if not row:
                    continue
                if len(row) != width:
                    raise ValueError(f"{len(row)} fields, {width} are in the header")
                yield _encode(convert(row, f"{path}:{number}"))
        except UnicodeDecodeError as error:  # of a whole block, so somewhere behind the last line
            raise ClicksError(f"{path}: behind line {number}: no UTF-8 text ({error.reason})") from error
        except csv.Error as error:
            raise ClicksError(f"{path}:{rows.line_num}: no click: {error}") from error
        except ValueError as error:
            raise ClicksError(f"{path}:{number}: no click: {error}") from error


def _session_rec(row: list[str], place: str) -> dict[str, object]:
    session, item, seconds = row
    return {
        "event_id": place,
        "type": "product_viewed",
        "timestamp": _milliseconds(seconds),
        "anonymous_id": f"s-{session}" if session else "",
        "session_id": session,
        "product_id": item,
    }


def _milliseconds(seconds: str) -> int:
    found = float(seconds)
    if not math.isfinite(found):
        raise ValueError(f"{seconds} is no time")
    return round(found * 1000)


def _retail_rocket(row: list[str], place: str) -> dict[str, object]:
    timestamp, visitor, event_type, item, transaction = row
    event: dict[str, object] = {
        "event_id": place,
        "timestamp": int(timestamp),
        "anonymous_id": visitor,
    }
    if event_type == "transaction":
        product = {"product_id": item, "quantity": 1, "price": 0}
        return {**event, "type": "order_completed", "order_id": transaction, "products": [product]}
    if event_type not in _TYPES:
        raise ValueError(f"{event_type!r} is none of {', '.join((*_TYPES, 'transaction'))}")
    return {**event, "type": _TYPES[event_type], "product_id": item}
