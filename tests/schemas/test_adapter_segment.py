"""Segment messages."""

import json
from typing import Any

import pytest
from event_documents import json_values
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters.segment import EVENTS, convert
from schemas.decode import Decoder
from schemas.facts import Fact, Kind
from schemas.rejects import Reason, Rejected
from schemas.settings import Settings

MESSAGE: dict[str, Any] = {
    "anonymousId": "23adfd82-aa0f-45a7-a756-24f2a7a4c895",
    "context": {
        "library": {"name": "analytics.js", "version": "2.11.1"},
        "campaign": {"name": "spring", "source": "newsletter", "medium": "email"},
        "device": {"type": "ios", "model": "iPhone15,4"},
        "location": {"city": "Lyon", "country": "France"},
        "ip": "192.0.2.17",
        "userAgent": "Mozilla/5.0",
    },
    "channel": "browser",
    "integrations": {},
    "messageId": "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
    "originalTimestamp": "2024-05-01T12:00:01.100Z",
    "receivedAt": "2024-05-01T12:00:02.000Z",
    "sentAt": "2024-05-01T12:00:01.500Z",
    "timestamp": "2024-05-01T12:00:00.123Z",
    "type": "track",
    "userId": "AiUGstSDIg",
    "version": 2,
}
ORDER: dict[str, Any] = {
    "checkout_id": "fksdjfsdjfisjf9sdfjsd9f",
    "order_id": "50314b8e9bcf000000000000",
    "affiliation": "Shop",
    "subtotal": 22,
    "total": 27.5,
    "revenue": 25.0,
    "shipping": 3,
    "currency": "USD",
    "products": [
        {"product_id": "507f1f77bcf86cd799439011", "sku": "45790-32", "price": 19, "quantity": 1, "category": "Games"},
        {"sku": "46493-32", "price": "3", "quantity": "2"},
    ],
}


def message(event: str | None = None, properties: Any = None, **changes: Any) -> bytes:
    whole = MESSAGE | {"event": event, "properties": properties} | changes
    return json.dumps({name: value for name, value in whole.items() if value is not ...}).encode()


def converted(raw: bytes) -> bytes:
    (event,) = convert(raw)
    assert isinstance(event, bytes)
    return event


def fact_of(raw: bytes) -> Fact:
    return Decoder(Settings()).decode(converted(raw))[1]


def reason_of(raw: bytes) -> Reason:
    (event,) = convert(raw)
    if isinstance(event, Rejected):
        return event.reason
    with pytest.raises(Rejected) as caught:
        Decoder(Settings()).decode(event)
    return caught.value.reason


class TestTrack:
    """The events of the Ecommerce Spec."""

    @pytest.mark.parametrize("name", sorted(EVENTS))
    def test_names(self, name: str) -> None:
        """Every name of both versions becomes its type, in whatever case it is written."""
        context = MESSAGE["context"] | {"consent": {"categoryPreferences": {"Personalization": False}}}
        for spelling in (name, name.title(), f" {name.replace(' ', '  ')}"):
            fact = fact_of(message(spelling, {"product_id": "p", "order_id": "o"}, context=context))
            assert Kind(fact.kind).name.lower() == EVENTS[name]

    def test_product(self) -> None:
        """A product event keeps its envelope, product and context."""
        properties = {"product_id": "507f1f77", "sku": "G-32", "category": "Games", "price": 18.99, "quantity": 1.0}
        raw = message("Product Added", properties | {"currency": "usd", "session_id": 1714564800})
        assert fact_of(raw) == Fact(
            1_714_564_800_123,
            "ajs-f8ca1e4de5024d9430b3928bd8ac6b96",
            3,
            "507f1f77",
            "Games",
            "1714564800",
            "ios",
            "France",
            "email",
            1,
        )
        assert b'"price":18.99' in converted(raw)

    def test_order(self) -> None:
        """An order keeps its lines; its amount is the total."""
        fact = fact_of(message("Order Completed", ORDER))
        assert fact.order_id == "50314b8e9bcf000000000000"
        assert fact.lines == (("507f1f77bcf86cd799439011", 1, 1900, "Games"), ("46493-32", 2, 300, None))
        assert fact.amount_cents == 2750

    def test_revenue(self) -> None:
        """Where there is no total the revenue stands in, and without either the lines do."""
        assert fact_of(message("Order Completed", ORDER | {"total": None})).amount_cents == 2500
        assert fact_of(message("Order Completed", ORDER | {"total": "", "revenue": None})).amount_cents is None

    def test_version_1(self) -> None:
        """Version 1 has other names for the same."""
        order = {"orderId": 5031, "total": "30.00", "products": [{"id": 7, "sku": "s", "price": 15, "quantity": 2}]}
        fact = fact_of(message("Completed Order", order))
        assert (fact.order_id, fact.lines, fact.amount_cents) == ("5031", (("7", 2, 1500, None),), 3000)

    def test_refunds(self) -> None:
        """A refund of the whole order has nothing but its id; a part has products or a total."""
        whole = fact_of(message("Order Refunded", {"order_id": "o"}))
        part = fact_of(message("Order Refunded", {"order_id": "o", "products": [{"product_id": "p", "quantity": 1}]}))
        assert (whole.lines, whole.amount_cents) == ((), None)
        assert part.lines == (("p", 1, None, None),)

    def test_search(self) -> None:
        """A search keeps its words."""
        assert b'"query":"blue"' in converted(message("Products Searched", {"query": "blue"}))

    def test_consent(self) -> None:
        """Consent preferences become purposes in lower case."""
        context = {"consent": {"categoryPreferences": {"Personalization": False, "Ads": True}}}
        assert fact_of(message("Segment Consent Preference Updated", context=context)).personalization is False

    def test_digits_are_kept(self) -> None:
        """Numbers go through unchanged to the last digit."""
        raw = message("Order Completed", {"order_id": "o", "total": 77}).replace(b"77", b"0.12345678901234567890123")
        assert b'"total":0.12345678901234567890123' in converted(raw)


class TestEnvelope:
    """What every message has."""

    def test_timestamps(self) -> None:
        """The corrected timestamp counts, else the device's."""
        raw = message("Product Viewed", {"product_id": "p"}, timestamp=...)
        assert fact_of(raw).time_ms == 1_714_564_801_100

    def test_anonymous(self) -> None:
        """A visitor without a user id is anonymous."""
        raw = message("Product Viewed", {"product_id": "p"}, userId=None)
        assert Decoder(Settings()).decode(converted(raw))[0] == MESSAGE["anonymousId"]

    def test_numeric_user(self) -> None:
        """Ids that are numbers are their digits."""
        raw = message("Product Viewed", {"product_id": 12}, userId=4711)
        subject, fact = Decoder(Settings()).decode(converted(raw))
        assert (subject, fact.product_id) == ("4711", "12")

    def test_identify(self) -> None:
        """An identify message links both ids; its traits are left behind."""
        event = converted(message(type="identify", traits={"email": "ann@example.com"}))
        assert b"ann@example.com" not in event
        assert json.loads(event)["anonymous_id"] == MESSAGE["anonymousId"]
        assert Decoder(Settings()).decode(event)[1].kind == Kind.IDENTIFY

    @pytest.mark.parametrize(
        ("context", "expected"),
        [
            ({"location": {"city": "Lyon"}}, (None, "Lyon", "browser")),
            ({"campaign": {"source": "ads"}}, (None, None, "ads")),
            ({"device": {"type": 7}, "location": "Lyon"}, (None, None, "browser")),
            (None, (None, None, "browser")),
        ],
    )
    def test_context(self, context: Any, expected: tuple[str | None, ...]) -> None:
        """Labels come from the best place that has them; odd ones are left out."""
        fact = fact_of(message("Product Viewed", {"product_id": "p"}, context=context))
        assert (fact.device, fact.location, fact.channel) == expected


class TestRejected:
    """Nothing is dropped in silence."""

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (message(type="page"), Reason.NOT_A_SHOP_EVENT),
            (message(type="screen"), Reason.NOT_A_SHOP_EVENT),
            (message(type="group"), Reason.NOT_A_SHOP_EVENT),
            (message("Signed Up", {}), Reason.NOT_A_SHOP_EVENT),
            (message("Product List Viewed", {}), Reason.NOT_A_SHOP_EVENT),
            (message(type="other"), Reason.UNKNOWN_TYPE),
            (message(type=["track"]), Reason.UNKNOWN_TYPE),
            (message(), Reason.MISSING_FIELD),
            (message("Product Viewed", {}), Reason.MISSING_FIELD),
            (message("Product Viewed", {"product_id": "p"}, messageId=...), Reason.MISSING_FIELD),
            (message("Product Viewed", {"product_id": "p"}, userId="", anonymousId=""), Reason.NO_SUBJECT),
            (message("Product Viewed", {"product_id": "p", "price": "$18.99"}), Reason.INVALID_AMOUNT),
            (message("Order Completed", ORDER | {"total": -1}), Reason.INVALID_AMOUNT),
            (message("Order Completed", ORDER | {"currency": "EUR"}), Reason.CURRENCY_UNKNOWN),
            (message("Order Completed", {"products": ["p"], "order_id": "o"}), Reason.WRONG_TYPE),
            (message("Segment Consent Preference Updated", context={"consent": 7}), Reason.MISSING_FIELD),
            (b"[]", Reason.NOT_AN_OBJECT),
            (b"{", Reason.MALFORMED_JSON),
            (b'{"type":"track","event":"\xff"}', Reason.INVALID_UTF8),
        ],
    )
    def test_reason(self, raw: bytes, reason: Reason) -> None:
        """Each message that does not fit has its reason."""
        assert reason_of(raw) is reason

    @given(
        st.dictionaries(st.sampled_from([*MESSAGE, "event", "properties"]), json_values),
        st.sampled_from(sorted(EVENTS)),
    )
    def test_fuzz(self, changes: dict[str, Any], event: str) -> None:
        """Whatever the fields hold, the outcome is a fact or a rejection."""
        try:
            fact_of_any(json.dumps(MESSAGE | {"event": event, "properties": ORDER} | changes).encode())
        except Rejected:
            return

    @given(st.dictionaries(st.sampled_from([*ORDER, "product_id", "price", "quantity"]), json_values))
    def test_fuzz_properties(self, changes: dict[str, Any]) -> None:
        """The same for properties."""
        try:
            fact_of_any(message("Order Completed", ORDER | changes))
            fact_of_any(message("Product Added", changes))
        except Rejected:
            return


def fact_of_any(raw: bytes) -> None:
    for event in convert(raw):
        if isinstance(event, bytes):
            Decoder(Settings()).decode(event)
