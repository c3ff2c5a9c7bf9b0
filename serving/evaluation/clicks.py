"""Click sessions as research publishes them, as canonical events.

Two formats are read, by their header: `SessionId, ItemId, Time` (seconds, separated by tabs), as the session-rec
framework prepares them (Ludewig, Jannach 2018; rn5l/session-rec on GitHub), and RetailRocket's `events.csv`
(`timestamp,visitorid,event,itemid,transactionid`; Kaggle, CC BY-NC-SA 4.0). The data is the user's own download.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import msgspec

_encode = msgspec.json.Encoder().encode
_SESSION_REC = ("SessionId", "ItemId", "Time")
_RETAIL_ROCKET = ("timestamp", "visitorid", "event", "itemid", "transactionid")
_TYPES = {"view": "product_viewed", "addtocart": "product_added"}


class ClicksError(ValueError):
    """A file of clicks that cannot be read; the message names the line."""


def are_clicks(path: Path) -> bool:
    """Whether a file begins with one of the headers above."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            header = lines.readline(200).strip()
    except OSError:
        return False
    return tuple(header.split("\t")) == _SESSION_REC or tuple(header.split(",")) == _RETAIL_ROCKET


def click_events(path: Path) -> Iterator[bytes]:
    """The clicks of a file as events, in its order. A session of session-rec is a visitor of its own.

    Raises:
        ClicksError: a line does not fit its header.
    """
    with path.open(encoding="utf-8", newline="") as lines:
        tabs = "\t" in lines.readline()
        lines.seek(0)
        convert = _session_rec if tabs else _retail_rocket
        for row in (rows := csv.DictReader(lines, delimiter="\t" if tabs else ",")):
            try:
                event = convert(row, f"{path.name}:{rows.line_num}")
            except (KeyError, ValueError, TypeError) as error:
                raise ClicksError(f"{path}:{rows.line_num}: no click: {error}") from error
            if event is not None:
                yield _encode(event)


def _session_rec(row: dict[str, str], place: str) -> dict[str, object]:
    return {
        "event_id": place,
        "type": "product_viewed",
        "timestamp": round(float(row["Time"]) * 1000),
        "anonymous_id": f"s-{row['SessionId']}",
        "session_id": row["SessionId"],
        "product_id": row["ItemId"],
    }


def _retail_rocket(row: dict[str, str], place: str) -> dict[str, object] | None:
    event: dict[str, object] = {
        "event_id": place,
        "timestamp": int(row["timestamp"]),
        "anonymous_id": row["visitorid"],
    }
    if row["event"] == "transaction":
        product = {"product_id": row["itemid"], "quantity": 1, "price": 0}
        return {**event, "type": "order_completed", "order_id": row["transactionid"], "products": [product]}
    return {**event, "type": _TYPES[row["event"]], "product_id": row["itemid"]}
