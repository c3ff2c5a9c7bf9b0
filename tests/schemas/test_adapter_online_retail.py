"""The Online Retail data set."""

import csv
import json
import lzma
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters.online_retail import COLUMNS, product_names, records
from schemas.decode import Decoder
from schemas.facts import Fact, Kind
from schemas.lines import split_lines
from schemas.logs import open_log
from schemas.records import LogError, Record
from schemas.rejects import Reason
from schemas.settings import Settings

WHOLE = Path(__file__).parents[2] / "examples" / "online_retail.csv.xz"
HEADER = ",".join(COLUMNS)


def read(*rows: str) -> list[Record]:
    content = "\n".join((HEADER, *rows)).encode()
    return list(records("f", lambda _: split_lines([content])))


def row(
    invoice: str = "536365",
    code: str = "85123A",
    quantity: int | str = 6,
    price: str = "2.55",
    date: str = "2010-12-01 08:26:00",
    customer: str = "17850.0",
    description: str = "HOLDER",
) -> str:
    return f"{invoice},{code},{description},{quantity},{date},{price},{customer},United Kingdom"


def fact_of(record: Record) -> Fact:
    assert record.rejected is None
    return Decoder(Settings(currency="GBP")).decode(record.raw)[1]


class TestInvoice:
    """Lines of an invoice are one order."""

    def test_order(self) -> None:
        """Products become lines; everything else only counts in the total."""
        (record,) = read(
            row(),
            row(code="POST", quantity=1, price="18.00"),
            row(code="22752", quantity=2, price="7.65"),
            row(code="D", quantity=-1, price="0.30"),
            row(code="22753", quantity=1, price="0.0"),
            row(code="22754", quantity=-1, price="0.10"),
        )
        fact = fact_of(record)
        assert (fact.kind, fact.event_id, fact.order_id) == (Kind.ORDER_COMPLETED, "536365", "536365")
        assert fact.lines == (("85123A", 6, 255, None), ("22752", 2, 765, None), ("22753", 1, 0, None))
        assert fact.amount_cents == 1530 + 1800 + 1530 - 30 - 10
        assert fact.location == "United Kingdom"
        assert (record.place, record.source_rows) == ("f:2", 6)
        assert json.loads(record.raw)["customer_id"] == "17850"
        assert record.original.decode().split("\n")[0] == row()

    @pytest.mark.parametrize(
        ("date", "time_ms"),
        [("2010-12-01 08:26:00", 1_291_191_960_000), ("2011-07-01 08:26:00", 1_309_505_160_000)],
    )
    def test_local_time(self, date: str, time_ms: int) -> None:
        """Times are London's, an hour ahead of UTC in summer."""
        assert fact_of(read(row(date=date))[0]).time_ms == time_ms

    def test_cancellation(self) -> None:
        """A cancellation refunds its sum; which order it undoes is not known."""
        (record,) = read(row("C536379", quantity=-2, price="4.25"), row("C536379", "D", -1, "27.50"))
        fact = fact_of(record)
        assert (fact.kind, fact.order_id, fact.lines) == (Kind.ORDER_REFUNDED, "C536379", ())
        assert fact.amount_cents == 850 + 2750

    def test_scattered(self) -> None:
        """The rows of an invoice come together wherever they stand; its first minute counts."""
        first, second = read(
            row("1", date="2010-12-01 08:27:00"), row("2"), row("2"), row("1", date="2010-12-01 08:26:00")
        )
        assert (first.place, first.source_rows, fact_of(first).event_id) == ("f:3", 2, "2")
        assert (second.place, second.source_rows, fact_of(second).event_id) == ("f:2", 2, "1")
        assert fact_of(second).time_ms == 1_291_191_960_000

    def test_quoted(self) -> None:
        """Cells in quotes may hold commas and quotes."""
        (record,) = read(row(description='"HOLDER, ""LARGE"""'))
        assert fact_of(record).amount_cents == 1530

    def test_third_decimal(self) -> None:
        """The total is the exact sum, rounded once."""
        (record,) = read(*[row(quantity=1, price="0.003")] * 5)
        assert json.loads(record.raw, parse_float=Decimal)["total"] == Decimal("0.015")
        assert fact_of(record).amount_cents == 2


class TestRejected:
    """Every row belongs to exactly one record."""

    def test_no_customer(self) -> None:
        """An invoice without a customer is rejected as a whole, with its rows."""
        (record,) = read(row(customer=""), row(customer="", code="22752"))
        assert record.rejected is not None
        assert record.rejected.reason is Reason.NO_SUBJECT
        assert record.raw.decode() == f"{row(customer='')}\n{row(customer='', code='22752')}"
        assert record.source_rows == 2

    @pytest.mark.parametrize(
        "wrong",
        [
            row(quantity="six"),
            row(quantity="1.5"),
            row(price="NaN"),
            row(price=""),
            row(price="1e9"),
            row(date="01/12/2010 08:26"),
            row(date="2010-13-01 08:26:00"),
            row(invoice=""),
            row(description='"open'),
            "536365,85123A",
            row() + ",more",
        ],
    )
    def test_unreadable(self, wrong: str) -> None:
        """A row that cannot be read is rejected alone; the others of its invoice stay."""
        outcomes = read(row(), wrong, row())
        assert sorted(record.source_rows for record in outcomes) == [1, 2]
        (rejected,) = (record for record in outcomes if record.rejected)
        assert rejected.rejected is not None
        assert rejected.rejected.reason is Reason.UNREADABLE_ROW
        assert (rejected.place, rejected.raw) == ("f:3", wrong.encode())

    @pytest.mark.parametrize(("invoice", "quantity"), [("1", -6), ("C1", 6)])
    def test_wrong_sign(self, invoice: str, quantity: int) -> None:
        """An order below zero and a cancellation above are rejected."""
        (record,) = read(row(invoice, quantity=quantity))
        assert record.rejected is not None
        assert record.rejected.reason is Reason.INVALID_AMOUNT

    def test_several_customers(self) -> None:
        """An invoice of two customers is nobody's."""
        (record,) = read(row(), row(customer="2.0"))
        assert record.rejected is not None

    def test_other_header(self) -> None:
        """A file with other columns is not this data set."""
        with pytest.raises(LogError, match="header"):
            list(records("f", lambda _: split_lines([b"a,b\n1,2"])))

    def test_empty(self) -> None:
        """A file without rows has no records."""
        assert read() == []
        assert list(records("f", lambda _: iter(()))) == []

    rows = st.builds(
        row,
        invoice=st.sampled_from(["1", "2", "C3", "A4", ""]),
        code=st.sampled_from(["22752", "85123A", "POST"]),
        quantity=st.integers(-3, 3) | st.just("?"),
        price=st.sampled_from(["1.25", "0", "-3", "x"]),
        customer=st.sampled_from(["1.0", ""]),
        description=st.sampled_from(["A", '"A, B"', '"']),
    )

    @given(st.lists(rows, max_size=12))
    def test_conservation(self, lines: list[str]) -> None:
        """However dirty the file, its rows are what the records hold, no more and no less."""
        outcomes = read(*lines)
        assert sum(record.source_rows for record in outcomes) == len(lines)
        held = Counter(line for record in outcomes for line in record.original.decode().split("\n"))
        assert held == Counter(lines)


@pytest.fixture(scope="module")
def content() -> bytes:
    return lzma.decompress(WHOLE.read_bytes())


@pytest.fixture(scope="module")
def invoices(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    """Every invoice that has a customer, summed up by a database that knows nothing of the adapter."""
    path = tmp_path_factory.mktemp("retail") / "online_retail.csv"
    path.write_bytes(content)
    with duckdb.connect() as database:
        return database.execute(
            r"""
            SELECT InvoiceNo,
                   replace(min(CustomerID), '.0', ''),
                   epoch_ms((min(InvoiceDate)::TIMESTAMP AT TIME ZONE 'Europe/London')),
                   abs(sum(Quantity::DECIMAL(18, 3) * UnitPrice::DECIMAL(18, 3))),
                   coalesce(sum(Quantity::INT) FILTER (
                       regexp_full_match(StockCode, '\d{5}[A-Za-z]*') AND InvoiceNo NOT LIKE 'C%'), 0)
            FROM read_csv(?, all_varchar = true) WHERE CustomerID IS NOT NULL GROUP BY InvoiceNo
            """,
            [str(path)],
        ).fetchall()


@pytest.fixture(scope="module")
def whole() -> list[Record]:
    return list(open_log([WHOLE]))


class TestWholeFile:
    """All of the data set, against an independent computation."""

    def test_conservation(self, whole: list[Record], content: bytes) -> None:
        """541,909 rows in 25,900 invoices, each in one record."""
        assert len(whole) == 25_900
        assert sum(record.source_rows for record in whole) == 541_909
        held = b"\n".join(record.original for record in whole).split(b"\n")
        assert sorted(held) == sorted(content.removesuffix(b"\n").split(b"\n")[1:])

    def test_orders(self, whole: list[Record], invoices: list[tuple[Any, ...]]) -> None:
        """Order by order, customer, amount, time and units are those of the database."""
        found = {}
        decoder = Decoder(Settings(currency="GBP"))
        for record in whole:
            if record.rejected is None:
                subject, fact = decoder.decode(record.raw)
                units = sum(quantity for _, quantity, _, _ in fact.lines)
                found[fact.event_id] = (subject, fact.kind, fact.time_ms, fact.amount_cents, units)
        expected = {
            invoice: (customer, 9 if invoice.startswith("C") else 8, time_ms, round(Fraction(total) * 100), units)
            for invoice, customer, time_ms, total, units in invoices
        }
        assert found == expected
        assert Counter(kind for _, kind, *_ in found.values()) == {
            Kind.ORDER_COMPLETED: 18_536,
            Kind.ORDER_REFUNDED: 3_654,
        }
        assert len({customer for customer, *_ in found.values()}) == 4_372
        assert sum(cents or 0 for _, kind, _, cents, _ in found.values() if kind == Kind.ORDER_COMPLETED) == 891_140_790
        assert sum(cents or 0 for _, kind, _, cents, _ in found.values() if kind == Kind.ORDER_REFUNDED) == 61_134_209

    def test_rejects(self, whole: list[Record]) -> None:
        """What is rejected are the invoices without a customer."""
        rejected = [record for record in whole if record.rejected]
        assert {record.rejected.reason for record in rejected if record.rejected} == {Reason.NO_SUBJECT}
        assert (len(rejected), sum(record.source_rows for record in rejected)) == (3_710, 135_080)

    def test_product_names(self) -> None:
        """Every code has its most frequent description."""
        names = product_names(WHOLE)
        assert names["85123A"] == "WHITE HANGING HEART T-LIGHT HOLDER"
        assert len(names) == 3_958  # of 4,070 codes; the others were never described


class TestProductNames:
    """Descriptions for people."""

    def test_most_frequent(self, tmp_path: Path) -> None:
        """The most frequent one wins, the first in the alphabet of several; blanks do not count."""
        path = tmp_path / "names.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for code, name in [("1", "B"), ("1", "A"), ("2", "Z"), ("2", "Z "), ("2", "A"), ("3", " "), ("3", "")]:
                writer.writerow(["9", code, name, 1, "2011-01-04 10:00:00", 1, "", "France"])
        assert product_names(path) == {"1": "A", "2": "Z"}
