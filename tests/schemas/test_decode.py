"""Decoding canonical events."""

import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec
import pytest
from event_documents import DETAILS, NOW_MS, TIME_MS, document, documents, json_values, line
from hypothesis import given
from hypothesis import strategies as st

from schemas.decode import ID_MAX_BYTES, MAX_QUANTITY, Decoder
from schemas.facts import Fact, Kind
from schemas.rejects import Reason, Rejected
from schemas.settings import DAY_MS, Settings


def decoder(**settings: Any) -> Decoder:
    return Decoder(Settings(**settings), now_ms=lambda: NOW_MS)


def reason_of(raw: bytes, **settings: Any) -> Reason:
    with pytest.raises(Rejected) as caught:
        decoder(**settings).decode(raw)
    assert caught.value.detail
    return caught.value.reason


class TestAccepted:
    """Every type becomes a fact with what the fold needs."""

    @pytest.mark.parametrize("event_type", sorted(DETAILS))
    def test_type(self, event_type: str) -> None:
        """Each type of the format has a kind of its own name."""
        subject, fact = decoder().decode(line(event_type))
        assert subject == "c-1"
        assert (fact.event_id, fact.time_ms) == ("e-1", TIME_MS)
        assert Kind(fact.kind).name.lower() == event_type

    def test_product_event(self) -> None:
        """A product event keeps its product, category, session, quantity and context."""
        context = {"device": "mobile", "location": "DE", "channel": "email", "ip": "192.0.2.1"}
        _, fact = decoder().decode(line("product_added", session_id="s", context=context))
        assert fact == Fact(TIME_MS, "e-1", 3, "p-1", "mugs", "s", "mobile", "DE", "email", 2)

    def test_order(self) -> None:
        """An order keeps its lines in cents; a line without a quantity is one unit."""
        _, fact = decoder().decode(line("order_completed"))
        assert fact.order_id == "o-1"
        assert fact.lines == (("p-1", 2, 350, "mugs"), ("p-2", 1, None, None))
        assert fact.amount_cents == 700

    def test_whole_refund(self) -> None:
        """A refund without lines and total says nothing but the order's id."""
        _, fact = decoder().decode(line("order_cancelled"))
        assert (fact.order_id, fact.lines, fact.amount_cents) == ("o-1", (), None)

    @pytest.mark.parametrize(("purposes", "expected"), [({"personalization": True}, True), ({"ads": True}, None)])
    def test_consent(self, purposes: dict[str, bool], expected: bool | None) -> None:
        """Consent says yes, no, or nothing about personalization."""
        assert decoder().decode(line("consent", purposes=purposes))[1].personalization is expected

    @pytest.mark.parametrize("customer_id", [..., None, ""])
    def test_anonymous_subject(self, customer_id: Any) -> None:
        """Without a customer the anonymous visitor is the subject; an empty id counts as absent."""
        subject, _ = decoder().decode(line("product_viewed", customer_id=customer_id, anonymous_id="a-1"))
        assert subject == "a-1"

    def test_empty_labels_are_absent(self) -> None:
        """Empty optional texts and nulls mean the same as fields that are not there."""
        _, fact = decoder().decode(line("product_viewed", session_id="", category="", quantity=None, context={}))
        assert fact == Fact(TIME_MS, "e-1", 1, "p-1")

    def test_unknown_fields(self) -> None:
        """Fields that the format does not name are ignored, whatever they hold."""
        assert decoder().decode(line("erase", extra={"a": [1, None]}))[1] == Fact(TIME_MS, "e-1", 13)

    def test_memoryview(self) -> None:
        """Bytes may come as a view."""
        raw = line("erase")
        assert decoder().decode(memoryview(raw)) == decoder().decode(raw)

    @given(documents())
    def test_random(self, event: dict[str, Any]) -> None:
        """Every valid document is accepted with its own values, and its fact packs and unpacks unchanged."""
        subject, fact = decoder().decode(json.dumps(event, ensure_ascii=len(event) % 2 == 0).encode())
        context = event["context"] or {}
        assert subject == event["customer_id"]
        assert fact.session_id == event["session_id"]
        assert fact.product_id == event.get("product_id")
        assert (fact.device, fact.location, fact.channel) == tuple(
            context.get(name) for name in ("device", "location", "channel")
        )
        assert fact.lines == tuple(
            (
                product["product_id"],
                product.get("quantity", 1),
                None if "price" not in product else round(Fraction(str(product["price"])) * 100),
                product.get("category"),
            )
            for product in event.get("products") or ()
        )
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=Fact) == fact


class TestMalformed:
    """What is no JSON object in UTF-8."""

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (b"", Reason.MALFORMED_JSON),
            (b" \t", Reason.MALFORMED_JSON),
            (b"{", Reason.MALFORMED_JSON),
            (b"{} {}", Reason.MALFORMED_JSON),
            (line("erase")[:-1], Reason.MALFORMED_JSON),
            (line("product_viewed", price=float("nan")), Reason.MALFORMED_JSON),
            (b'{"x":' + b"[" * 100_000, Reason.MALFORMED_JSON),
            (b"[]", Reason.NOT_AN_OBJECT),
            (b"null", Reason.NOT_AN_OBJECT),
            (b"17", Reason.NOT_AN_OBJECT),
            (b'"text"', Reason.NOT_AN_OBJECT),
            (line("erase", extra="?").replace(b"?", b"\xff"), Reason.INVALID_UTF8),
            (line("erase", event_id="?").replace(b"?", b"\xc3"), Reason.INVALID_UTF8),
            (line("erase", event_id="?").replace(b"?", b"\xed\xa0\x80"), Reason.INVALID_UNICODE),
            (line("erase", event_id="\ud800"), Reason.INVALID_UNICODE),
            (line("erase", event_id="a\udc00b"), Reason.INVALID_UNICODE),
            (line("erase", extra="\ud800"), Reason.INVALID_UNICODE),
        ],
    )
    def test_reason(self, raw: bytes, reason: Reason) -> None:
        """Each fault of the text has its reason."""
        assert reason_of(raw) is reason

    def test_nesting_does_not_depend_on_the_stack(self) -> None:
        """A long record that is nested beyond the bound is rejected, also where the parser could manage it."""
        nested: list[Any] = []
        for _ in range(299):
            nested = [nested]
        assert reason_of(line("erase", extra=nested, more="x" * ID_MAX_BYTES)) is Reason.MALFORMED_JSON

    def test_many_lines_are_not_deep(self) -> None:
        """Brackets side by side or inside of texts are no nesting."""
        products = [{"product_id": f'p{index}[[{{"'} for index in range(1_000)]
        assert len(decoder().decode(line("checkout_started", products=products))[1].lines) == 1_000

    def test_size(self) -> None:
        """A record beyond the bound is rejected by its length alone, before anything is parsed."""
        assert reason_of(b"x" * 10_000_000) is Reason.RECORD_TOO_LARGE
        assert reason_of(memoryview(b"x" * 101), max_record_bytes=100) is Reason.RECORD_TOO_LARGE  # type: ignore[arg-type]
        assert decoder(max_record_bytes=len(line("erase"))).decode(line("erase"))


class TestFields:
    """Fields that are missing or hold the wrong thing."""

    @pytest.mark.parametrize(
        ("event_type", "changes", "reason"),
        [
            ("erase", {"type": "wipe"}, Reason.UNKNOWN_TYPE),
            ("erase", {"type": 7}, Reason.WRONG_TYPE),
            ("erase", {"type": ...}, Reason.MISSING_FIELD),
            ("erase", {"event_id": ...}, Reason.MISSING_FIELD),
            ("erase", {"event_id": ""}, Reason.EMPTY_EVENT_ID),
            ("erase", {"event_id": 7}, Reason.WRONG_TYPE),
            ("erase", {"customer_id": ...}, Reason.NO_SUBJECT),
            ("erase", {"customer_id": ""}, Reason.NO_SUBJECT),
            ("erase", {"customer_id": 17}, Reason.WRONG_TYPE),
            ("erase", {"context": "mobile"}, Reason.WRONG_TYPE),
            ("erase", {"context": {"device": {"type": "ios"}}}, Reason.WRONG_TYPE),
            ("product_viewed", {"product_id": ...}, Reason.MISSING_FIELD),
            ("product_viewed", {"product_id": ""}, Reason.MISSING_FIELD),
            ("recommendation_shown", {"product_id": ""}, Reason.MISSING_FIELD),
            ("order_completed", {"order_id": ...}, Reason.MISSING_FIELD),
            ("order_completed", {"order_id": ""}, Reason.MISSING_FIELD),
            ("order_completed", {"products": {}}, Reason.WRONG_TYPE),
            ("order_completed", {"products": [{}]}, Reason.MISSING_FIELD),
            ("order_completed", {"products": [{"product_id": ""}]}, Reason.MISSING_FIELD),
            ("consent", {"purposes": ...}, Reason.MISSING_FIELD),
            ("consent", {"purposes": {"personalization": "no"}}, Reason.WRONG_TYPE),
        ],
    )
    def test_reason(self, event_type: str, changes: dict[str, Any], reason: Reason) -> None:
        """Each fault of a field has its reason."""
        assert reason_of(line(event_type, **changes)) is reason

    @pytest.mark.parametrize(
        ("position", "place"), [(..., 1), (None, 1), (-3, 1), (0, 1), (1, 1), (2, 2), (100, 100), (101, 100)]
    )
    def test_the_position_of_a_recommendation(self, position: Any, place: int) -> None:
        """What is not said is the first place, and what is out of sight is all alike."""
        assert decoder().decode(line("recommendation_shown", position=position))[1].position == place

    def test_the_request_of_a_recommendation(self) -> None:
        """Of an id of any length as much is kept as tells it apart."""
        ids = (..., None, "", "r", "s", "r" * 9_000)
        found = [decoder().decode(line("recommendation_clicked", request_id=one))[1].request for one in ids]
        assert found[:3] == [None] * 3
        assert len(set(found[3:])) == 3
        assert {len(one or "") for one in found[3:]} == {16}

    def test_detail_has_the_path(self) -> None:
        """The detail says where in the document the fault is."""
        with pytest.raises(Rejected, match=r"\$\.products\[1\]\.quantity"):
            decoder().decode(
                line("order_completed", products=[{"product_id": "p"}, {"product_id": "p", "quantity": 0}])
            )

    @pytest.mark.parametrize("quantity", [0, -1, MAX_QUANTITY + 1, 10**30])
    def test_quantity(self, quantity: int) -> None:
        """Quantities are positive and bounded."""
        assert reason_of(line("product_added", quantity=quantity)) is Reason.INVALID_QUANTITY
        products = [{"product_id": "p", "quantity": quantity}]
        assert reason_of(line("order_completed", products=products)) is Reason.INVALID_QUANTITY

    def test_quantity_of_thousands_of_digits(self) -> None:
        """A number that no integer type would take is a wrong quantity, quickly."""
        raw = line("product_added", quantity=77).replace(b"77", b"7" * 900_000)
        assert reason_of(raw) is Reason.INVALID_QUANTITY

    def test_quantity_with_a_fraction(self) -> None:
        """Half a product is a wrong type."""
        assert reason_of(line("product_added", quantity=1.5)) is Reason.WRONG_TYPE


class TestIds:
    """Ids and labels become keys, so they are bounded and hold no control characters."""

    FIELDS = ("event_id", "customer_id", "anonymous_id", "session_id", "product_id", "category")

    @pytest.mark.parametrize("name", FIELDS)
    @pytest.mark.parametrize("text", ["a\x00", "a\nb", "\x7f", "a\x85"])
    def test_control_character(self, name: str, text: str) -> None:
        """No control character in any id, escaped or not."""
        assert reason_of(line("product_viewed", **{name: text})) is Reason.INVALID_ID
        raw = json.dumps(document("product_viewed", **{name: text}), ensure_ascii=False).encode()
        assert reason_of(raw) is Reason.INVALID_ID

    @pytest.mark.parametrize("name", FIELDS)
    def test_length(self, name: str) -> None:
        """512 bytes of UTF-8 pass, one more does not."""
        for text in ("x" * ID_MAX_BYTES, "é" * (ID_MAX_BYTES // 2), "😀" * (ID_MAX_BYTES // 4)):
            assert decoder().decode(line("product_viewed", **{name: text}))
            assert reason_of(line("product_viewed", **{name: f"{text}x"})) is Reason.ID_TOO_LONG

    @pytest.mark.parametrize(("text", "reason"), [("\x00", Reason.INVALID_ID), ("x" * 513, Reason.ID_TOO_LONG)])
    def test_other_places(self, text: str, reason: Reason) -> None:
        """The same holds for order ids, lines and context."""
        assert reason_of(line("order_refunded", order_id=text)) is reason
        assert reason_of(line("order_refunded", products=[{"product_id": text}])) is reason
        assert reason_of(line("order_refunded", products=[{"product_id": "p", "category": text}])) is reason
        assert reason_of(line("erase", context={"location": text})) is reason


class TestTime:
    """Timestamps, and the range in which they are believed."""

    def test_text(self) -> None:
        """RFC 3339 is accepted beside milliseconds."""
        assert decoder().decode(line("erase", timestamp="2024-05-01T14:00:00.1239+02:00"))[1].time_ms == TIME_MS

    @pytest.mark.parametrize(
        "timestamp", ["2024-05-01T12:00:00", "yesterday", "", 1.5, None, True, [], "1714564800123"]
    )
    def test_invalid(self, timestamp: Any) -> None:
        """No zone, no number of milliseconds: no timestamp."""
        assert reason_of(line("erase", timestamp=timestamp)) is Reason.INVALID_TIMESTAMP

    def test_range(self) -> None:
        """From 1990 to a day ahead of the clock, both included."""
        earliest, latest = 631_152_000_000, NOW_MS + DAY_MS
        for time_ms in (earliest, latest):
            assert decoder().decode(line("erase", timestamp=time_ms))[1].time_ms == time_ms
        assert reason_of(line("erase", timestamp=earliest - 1)) is Reason.TIMESTAMP_TOO_OLD
        assert reason_of(line("erase", timestamp=latest + 1)) is Reason.TIMESTAMP_IN_FUTURE
        assert reason_of(line("erase", timestamp=10**25)) is Reason.TIMESTAMP_IN_FUTURE
        assert reason_of(line("erase", timestamp=-(10**25))) is Reason.TIMESTAMP_TOO_OLD

    def test_seconds_are_recognised(self) -> None:
        """Seconds in place of milliseconds are the usual mistake; the detail says so."""
        with pytest.raises(Rejected, match="seconds"):
            decoder().decode(line("erase", timestamp=TIME_MS // 1000))

    def test_clock_is_asked_again(self) -> None:
        """A decoder that runs for days accepts what has become the present."""
        now = [NOW_MS]
        running = Decoder(Settings(), now_ms=lambda: now[0])
        raw = line("erase", timestamp=NOW_MS + 2 * DAY_MS)
        with pytest.raises(Rejected):
            running.decode(raw)
        now[0] += DAY_MS
        assert running.decode(raw)


class TestAmounts:
    """Amounts become cents exactly, or not at all."""

    @pytest.mark.parametrize(
        ("total", "cents"),
        [("0.1", 10), ("1.005", 100), ("1.015", 102), ("-0", 0), ("1e2", 10_000), ("1e-999999", 0), ("1e13", 10**15)],
    )
    def test_exact(self, total: str, cents: int) -> None:
        """Number or text, the decimal is taken exactly and rounded half to even."""
        as_text = line("order_completed", total=total)
        as_number = as_text.replace(f'"{total}"'.encode(), total.encode())
        assert decoder().decode(as_text)[1].amount_cents == cents
        assert decoder().decode(as_number)[1].amount_cents == cents

    @pytest.mark.parametrize(
        "amount",
        [
            *("NaN", "sNaN", "Infinity", "-Infinity", "-0.01", "10000000000000.01", "1e400", "1e99999999999999999999"),
            *("", "1_000", "12,50", "€5", "٣"),
        ],
    )
    def test_invalid(self, amount: str) -> None:
        """What cannot be paid is no amount, wherever it stands."""
        assert reason_of(line("order_refunded", products=[], total=amount)) is Reason.INVALID_AMOUNT
        products = [{"product_id": "p", "price": amount}]
        assert reason_of(line("order_completed", products=products, total=None)) is Reason.INVALID_AMOUNT

    @pytest.mark.parametrize("amount", ["NaN", "-1", "1e400", "x"])
    def test_price_of_a_view(self, amount: str) -> None:
        """The price of a product event is checked, too."""
        assert reason_of(line("product_viewed", price=amount)) is Reason.INVALID_AMOUNT

    def test_together(self) -> None:
        """The lines of an order together stay in bounds, too."""
        products = [{"product_id": "p", "price": 10**12, "quantity": 11}]
        assert reason_of(line("order_completed", products=products)) is Reason.INVALID_AMOUNT

    def test_a_million_digits(self) -> None:
        """An amount that fills a record costs no more than any record of that size."""
        raw = line("order_completed", total=77).replace(b"77", b"0." + b"7" * 900_000)
        assert decoder().decode(raw)[1].amount_cents == 78

    def test_currency(self) -> None:
        """Another currency is converted exactly by its rate; one without a rate is rejected."""
        rates = {"EUR": Decimal("1.1")}
        raw = line("order_completed", total="10.05", currency="eur", products=[])
        assert decoder(rates=rates).decode(raw)[1].amount_cents == 1106  # 11.055, half to even
        lines = line("order_completed", products=[{"product_id": "p", "price": 2}], currency="EUR")
        assert decoder(rates=rates).decode(lines)[1].lines == (("p", 1, 220, None),)
        assert reason_of(raw) is Reason.CURRENCY_UNKNOWN

    def test_currency_of_a_view(self) -> None:
        """The price of a view is not summed, so its currency does not matter."""
        assert decoder().decode(line("product_viewed", currency="XYZ"))

    def test_base_without_cents(self) -> None:
        """The base currency's exponent counts."""
        assert (
            decoder(currency="JPY").decode(line("order_completed", total=1050, currency="JPY"))[1].amount_cents == 1050
        )


class TestFuzz:
    """Whatever comes in, the outcome is a fact or a rejection."""

    @staticmethod
    def survives(raw: bytes) -> None:
        try:
            subject, fact = decoder().decode(raw)
        except Rejected as rejected:
            rejected.detail.encode()
        else:
            assert 0 < len(subject.encode()) <= ID_MAX_BYTES
            assert 0 < len(fact.event_id.encode()) <= ID_MAX_BYTES
            assert msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=Fact) == fact

    @given(st.binary(max_size=200))
    def test_bytes(self, raw: bytes) -> None:
        """Random bytes."""
        self.survives(raw)

    @given(json_values)
    def test_json(self, value: Any) -> None:
        """Random JSON."""
        self.survives(json.dumps(value).encode())

    @given(documents(), st.data())
    def test_changed_field(self, event: dict[str, Any], data: st.DataObject) -> None:
        """A valid document with a random value in one of its fields."""
        event[data.draw(st.sampled_from(sorted(event)))] = data.draw(json_values)
        self.survives(json.dumps(event).encode())

    @given(documents(), st.data())
    def test_changed_bytes(self, event: dict[str, Any], data: st.DataObject) -> None:
        """A valid record with a few bytes replaced."""
        raw = bytearray(json.dumps(event).encode())
        for _ in range(data.draw(st.integers(1, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        self.survives(bytes(raw))

    @given(documents(), st.data())
    def test_cut(self, event: dict[str, Any], data: st.DataObject) -> None:
        """A record that ends early is always rejected."""
        raw = json.dumps(event).encode()
        assert reason_of(raw[: data.draw(st.integers(0, len(raw) - 1))]) is Reason.MALFORMED_JSON
