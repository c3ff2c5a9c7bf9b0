"""Rows of GA4's BigQuery export."""

import json
from typing import Any

import pytest
from event_documents import json_values
from hypothesis import given
from hypothesis import strategies as st

from schemas.adapters.ga4 import PER_ITEM, PER_ROW, convert
from schemas.decode import Decoder
from schemas.facts import Fact, Kind
from schemas.rejects import Reason, Rejected
from schemas.settings import Settings


def parameter(key: str, **value: Any) -> dict[str, Any]:
    return {"key": key, "value": {"string_value": None, "int_value": None, "double_value": None} | value}


ITEMS: list[dict[str, Any]] = [
    {
        "item_id": "9195497",
        "item_name": "Blue Tee",
        "item_brand": "Shop",
        "item_category": "Apparel",
        "price_in_usd": 12.5,
        "price": 12.5,
        "quantity": "2",
        "item_revenue": 25.0,
        "item_list_id": "(not set)",
    },
    {"item_id": "(not set)", "item_name": "Sticker", "item_category": "(not set)", "price": 2.0, "quantity": None},
]
ROW: dict[str, Any] = {
    "event_date": "20240501",
    "event_timestamp": "1714564800123456",
    "event_name": "view_item",
    "event_params": [
        parameter("page_location", string_value="https://shop.example/tee"),
        parameter("ga_session_id", int_value="1714560000"),
        parameter("currency", string_value="USD"),
        parameter("value", double_value=27.0),
        parameter("search_term", string_value="tee"),
    ],
    "event_bundle_sequence_id": "-4281",
    "user_id": None,
    "user_pseudo_id": "1026454.4271112504",
    "device": {"category": "desktop", "operating_system": "Web"},
    "geo": {"country": "Japan", "city": "(not set)"},
    "traffic_source": {"medium": "organic", "source": "google"},
    "collected_traffic_source": {"manual_medium": "email"},
    "stream_id": "2100450278",
    "platform": "WEB",
    "ecommerce": {"transaction_id": "T-17", "purchase_revenue": 27.5, "refund_value": None},
    "items": ITEMS,
    "batch_event_index": "2",
}


def row(name: str = "view_item", /, **changes: Any) -> bytes:
    return json.dumps(ROW | {"event_name": name} | changes).encode()


def subjects_and_facts(raw: bytes) -> list[tuple[str, Fact]]:
    decoder = Decoder(Settings())
    events = convert(raw)
    assert all(isinstance(event, bytes) for event in events)
    return [decoder.decode(event) for event in events if isinstance(event, bytes)]


def fact_of(raw: bytes) -> Fact:
    ((_, fact),) = subjects_and_facts(raw)
    return fact


def reason_of(raw: bytes) -> Reason:
    event = convert(raw)[0]
    if isinstance(event, Rejected):
        return event.reason
    with pytest.raises(Rejected) as caught:
        Decoder(Settings()).decode(event)
    return caught.value.reason


class TestItems:
    """Rows about products."""

    @pytest.mark.parametrize("name", sorted(PER_ITEM))
    def test_types(self, name: str) -> None:
        """One event for each product of the row, each with an id of its own."""
        (subject, first), (_, second) = subjects_and_facts(row(name))
        assert Kind(first.kind).name.lower() == PER_ITEM[name]
        assert subject == ROW["user_pseudo_id"]
        assert first.event_id != second.event_id
        assert (first.product_id, first.category, first.quantity) == ("9195497", "Apparel", 2)
        assert (second.product_id, second.category, second.quantity) == ("Sticker", None, None)
        assert first.time_ms == second.time_ms == 1_714_564_800_123
        assert (first.session_id, first.device, first.location, first.channel) == (
            "1714560000",
            "desktop",
            "Japan",
            "email",
        )

    def test_item_without_id(self) -> None:
        """A product that has neither id nor name is rejected, the others are not."""
        first, second = convert(row(items=[{"price": 1}, ITEMS[0]]))
        assert isinstance(first, Rejected)
        assert isinstance(second, bytes)

    def test_customer(self) -> None:
        """A user id makes the customer."""
        assert subjects_and_facts(row(user_id="u-1", items=ITEMS[:1]))[0][0] == "u-1"

    def test_medium_of_the_user(self) -> None:
        """Without a medium of the session the user's first one counts."""
        assert fact_of(row(collected_traffic_source=None, items=ITEMS[:1])).channel == "organic"


class TestRows:
    """Rows that are one event."""

    @pytest.mark.parametrize("name", sorted(PER_ROW))
    def test_types(self, name: str) -> None:
        """Each name becomes its type."""
        assert Kind(fact_of(row(name)).kind).name.lower() == PER_ROW[name]

    def test_purchase(self) -> None:
        """A purchase keeps its lines and its revenue."""
        fact = fact_of(row("purchase"))
        assert fact.order_id == "T-17"
        assert fact.lines == (("9195497", 2, 1250, "Apparel"), ("Sticker", 1, 200, None))
        assert fact.amount_cents == 2750

    def test_purchase_without_revenue(self) -> None:
        """Without a revenue the event's value is the amount, without a transaction its own id the order's."""
        fact = fact_of(row("purchase", ecommerce={"transaction_id": "(not set)"}))
        assert fact.amount_cents == 2700
        assert fact.order_id == fact.event_id

    def test_refund(self) -> None:
        """A refund keeps the transaction it undoes."""
        fact = fact_of(row("refund", items=[], event_params=[], ecommerce={"transaction_id": "T-17"}))
        assert (fact.order_id, fact.lines, fact.amount_cents) == ("T-17", (), None)
        part = fact_of(row("refund", items=ITEMS[1:], ecommerce={"transaction_id": "T-17", "refund_value": 2}))
        assert (part.lines, part.amount_cents) == ((("Sticker", 1, 200, None),), 200)

    def test_search(self) -> None:
        """A search keeps its words."""
        (event,) = convert(row("view_search_results"))
        assert isinstance(event, bytes)
        assert json.loads(event)["query"] == "tee"


class TestIds:
    """The export has no ids, so they are made."""

    def test_stable(self) -> None:
        """The same row has the same ids, however its integers were written; they never change between versions."""
        as_numbers = row(
            "purchase", event_timestamp=1714564800123456, event_bundle_sequence_id=-4281, batch_event_index=2
        )
        assert (
            fact_of(row("purchase")).event_id == fact_of(as_numbers).event_id == "ga4-423b4efe8975ba801fcc0a4ccd532666"
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"user_pseudo_id": "other"},
            {"event_timestamp": "1714564800123457"},
            {"event_bundle_sequence_id": "7"},
            {"batch_event_index": "3"},
            {"ecommerce": {"transaction_id": "T-18"}},
            {"items": ITEMS[1:]},
        ],
    )
    def test_different(self, change: dict[str, Any]) -> None:
        """Rows that differ in anything that tells events apart have different ids."""
        assert subjects_and_facts(row(**change))[0][1].event_id != subjects_and_facts(row())[0][1].event_id

    def test_same_item_twice(self) -> None:
        """The same product twice in a row is two events."""
        (_, first), (_, second) = subjects_and_facts(row("add_to_cart", items=[ITEMS[0], ITEMS[0]]))
        assert first.event_id != second.event_id


class TestRejected:
    """Nothing is dropped in silence."""

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (row("page_view"), Reason.NOT_A_SHOP_EVENT),
            (row("view_item_list"), Reason.NOT_A_SHOP_EVENT),
            (b'{"event_timestamp":1}', Reason.MISSING_FIELD),
            (row(items=[]), Reason.MISSING_FIELD),
            (row(items=[7]), Reason.WRONG_TYPE),
            (row(event_timestamp=None), Reason.INVALID_TIMESTAMP),
            (row(event_timestamp=True), Reason.INVALID_TIMESTAMP),
            (row(event_timestamp="soon"), Reason.INVALID_TIMESTAMP),
            (row(event_timestamp=1714564800123), Reason.TIMESTAMP_TOO_OLD),
            (row(user_pseudo_id=None), Reason.NO_SUBJECT),
            (row("refund", ecommerce={}), Reason.MISSING_FIELD),
            (row("purchase", ecommerce={"purchase_revenue": -1}), Reason.INVALID_AMOUNT),
            (b"7", Reason.NOT_AN_OBJECT),
            (b"{", Reason.MALFORMED_JSON),
        ],
    )
    def test_reason(self, raw: bytes, reason: Reason) -> None:
        """Each row that does not fit has its reason."""
        assert reason_of(raw) is reason

    @given(st.dictionaries(st.sampled_from(sorted(ROW)), json_values), st.sampled_from([*PER_ROW, *PER_ITEM]))
    def test_fuzz(self, changes: dict[str, Any], name: str) -> None:
        """Whatever the fields hold, the outcome is facts or rejections, never nothing."""
        events = convert(json.dumps(ROW | {"event_name": name} | changes).encode())
        assert events
        for event in events:
            if isinstance(event, bytes):
                try:
                    Decoder(Settings()).decode(event)
                except Rejected:
                    continue
