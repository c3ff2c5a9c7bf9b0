"""The Online Retail data set: lines of invoices in a CSV file, to one order or refund for each invoice.

Data: Daqing Chen, Online Retail, 2015, UCI Machine Learning Repository, DOI 10.24432/C5BW33, CC BY 4.0.
"""

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

from schemas.adapters import fields
from schemas.compression import container_of, read_chunks
from schemas.lines import NumberedLine, split_lines
from schemas.records import LogError, Record
from schemas.rejects import Reason, Rejected
from schemas.timestamps import EPOCH

COLUMNS: Final = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
CURRENCY: Final = "GBP"

_SHOP_ZONE: Final = ZoneInfo("Europe/London")
_PRODUCT: Final = re.compile(r"\d{5}[A-Za-z]*", re.ASCII).fullmatch
"""Other codes stand for postage, fees, samples, manual corrections, discounts."""
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?", re.ASCII).fullmatch
_QUANTITY: Final = re.compile(r"-?\d{1,9}", re.ASCII).fullmatch
_PRICE: Final = re.compile(r"-?\d{1,12}(?:\.\d{1,12})?", re.ASCII).fullmatch


class Row(NamedTuple):
    """A line of the file that could be read."""

    invoice_id: str
    stock_code: str
    quantity: int
    time_ms: int
    price: Decimal
    customer_id: str
    country: str


class _Invoice:
    """The rows of an invoice as they come together."""

    __slots__ = ("number", "raws", "rows")

    def __init__(self, number: int) -> None:
        self.number = number
        """The line its first row stands on."""
        self.rows: list[Row] = []
        self.raws: list[bytes] = []


def is_header(line: bytes) -> bool:
    """Whether this line is the header of an Online Retail file."""
    return tuple(_cells(line) or ()) == COLUMNS


def records(name: str, open_lines: Callable[[bool], Iterator[NumberedLine]]) -> Iterator[Record]:
    """One record for each invoice, where its last row stands in the file, and one for each row that cannot be read.

    The file is read twice: its invoices are mostly, but not always, in one piece, so the rows of each are counted
    first; only the second reading asks `open_lines` to report progress. What is held in memory is a number for each
    invoice and the rows of those that are not yet complete.

    Raises:
        LogError: the file has another header.
    """
    missing = Counter(_invoice_of(line[1]) for line in _below_header(name, open_lines(False)))
    invoices: dict[bytes, _Invoice] = {}
    for number, raw, too_long in _below_header(name, open_lines(True)):
        key = _invoice_of(raw)
        try:
            if too_long:
                raise too_long
            row = _row(_cells(raw))
        except Rejected as rejected:
            yield Record(f"{name}:{number}", raw, rejected.with_traceback(None))
        else:
            invoice = invoices.get(key) or invoices.setdefault(key, _Invoice(number))
            invoice.rows.append(row)
            invoice.raws.append(raw)
        missing[key] -= 1
        if not missing[key] and key in invoices:
            yield _record(name, invoices.pop(key))


def product_names(path: Path) -> dict[str, str]:
    """The most frequent description of each stock code; the alphabetically first of several as frequent.

    Raises:
        LogError: the file cannot be read or has another header.
    """
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    lines = split_lines(read_chunks(path, container_of(path), lambda _: None))
    for _, line, _ in _below_header(path.name, lines):
        cells = _cells(line)
        if cells and len(cells) == len(COLUMNS) and (description := cells[2].strip()):
            counts[cells[1]][description] += 1
    return {code: min(names, key=lambda name: (-names[name], name)) for code, names in counts.items()}


def _below_header(name: str, lines: Iterable[NumberedLine]) -> Iterator[NumberedLine]:
    lines = iter(lines)
    header = next(lines, None)
    if header is not None and not is_header(header[1]):
        raise LogError(f"{name}: the first line is not the header of an Online Retail file, {','.join(COLUMNS)}")
    yield from lines


def _invoice_of(line: bytes) -> bytes:
    """What tells the invoices apart: the first cell, which never has a comma in it."""
    return line.partition(b",")[0].strip(b'"')


def _cells(line: bytes) -> list[str] | None:
    try:
        text = line.decode("utf-8")
        return text.split(",") if '"' not in text else next(csv.reader([text], strict=True), None)
    except (UnicodeDecodeError, csv.Error):
        return None


def _row(cells: list[str] | None) -> Row:
    if cells is None or len(cells) != len(COLUMNS):
        raise Rejected(Reason.UNREADABLE_ROW, f"not {len(COLUMNS)} cells of CSV in UTF-8")
    invoice_id, stock_code, _, quantity, date, price, customer_id, country = cells
    if not _QUANTITY(quantity):
        raise Rejected(Reason.UNREADABLE_ROW, f"Quantity: {quantity!r} is not a whole number")
    if not _PRICE(price):
        raise Rejected(Reason.UNREADABLE_ROW, f"UnitPrice: {price!r} is not a decimal number")
    if not invoice_id:
        raise Rejected(Reason.UNREADABLE_ROW, "InvoiceNo is empty")
    try:
        time_ms = _time_ms(date)
    except ValueError as error:
        raise Rejected(Reason.UNREADABLE_ROW, f"InvoiceDate: {date!r}, {error}") from None
    return Row(invoice_id, stock_code, int(quantity), time_ms, Decimal(price), customer_id.removesuffix(".0"), country)


@lru_cache(maxsize=64)
def _time_ms(date: str) -> int:
    if not _DATE(date):
        raise ValueError("not YYYY-MM-DD HH:MM:SS")
    since = datetime.fromisoformat(date).replace(tzinfo=_SHOP_ZONE) - EPOCH
    return since.days * 86_400_000 + since.seconds * 1_000


def _record(name: str, invoice: _Invoice) -> Record:
    """An invoice as an event. The amount of a cancellation is what it gives back, so it counts with the sign turned."""
    rows = invoice.rows
    invoice_id = rows[0].invoice_id
    place, raw, size = f"{name}:{invoice.number}", b"\n".join(invoice.raws), len(rows)
    customers = {row.customer_id for row in rows}
    if len(customers) > 1:
        rejected = Rejected(Reason.UNREADABLE_ROW, f"the rows of invoice {invoice_id} name different customers")
        return Record(place, raw, rejected, size)
    cancelled = invoice_id.startswith("C")
    total = sum((row.quantity * row.price for row in rows), Decimal(0)) * (-1 if cancelled else 1)
    event = {
        "type": "order_refunded" if cancelled else "order_completed",
        "event_id": invoice_id,
        "timestamp": min(row.time_ms for row in rows),
        "customer_id": rows[0].customer_id,
        "context": fields.context(None, rows[0].country, None),
        "order_id": invoice_id,
        "products": None if cancelled else _products(rows) or None,
        "total": total,
        "currency": CURRENCY,
    }
    if not event["customer_id"]:
        return Record(place, raw, Rejected(Reason.NO_SUBJECT, f"invoice {invoice_id} has no CustomerID"), size)
    if total < 0:
        detail = f"{event['type']} {invoice_id} comes to {total} {CURRENCY}, which is below zero"
        return Record(place, raw, Rejected(Reason.INVALID_AMOUNT, detail), size)
    return Record(place, fields.dump(event), None, size, raw)


def _products(rows: list[Row]) -> list[dict[str, object]]:
    return [
        {"product_id": row.stock_code, "quantity": row.quantity, "price": row.price}
        for row in rows
        if row.quantity > 0 and row.price >= 0 and _PRODUCT(row.stock_code)
    ]
