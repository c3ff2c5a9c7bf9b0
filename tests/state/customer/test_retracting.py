"""Erasure: a customer who is erased leaves nothing, and what comes after is all there ever was."""

import json
from collections import defaultdict
from random import Random
from typing import Any

import pytest
from customer_runs import (
    PATIENT,
    Finished,
    in_order,
    key_and_time,
    run,
    run_live,
    shuffled,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st
from item_sums import SIMILAR, expected_items, without_own_support
from nasty_streams import SPICES, nasty_stream
from oracle.changes import replay_into_map
from test_against_batch import assert_same

from schemas.settings import DAY_MS, HOUR_MS, Settings
from state.channels import Channel
from state.items.item import ItemLogic
from tests.state.items.item_stores import PendingStore

SPICE = ("recommended", "busy", "orders-again", "sessions-return", "consent-flips", "two-milliseconds")
TELLTALE = ("hidden-phone", "hidden-place", "hidden-campaign", "hidden-product", "hidden-category", "hidden-session",
            "hidden-order", "hidden-event")  # fmt: skip


def history(seed: int, size: int, spice: str) -> list[bytes]:
    """One customer's events, none of them an erasure."""
    lines = nasty_stream(Random(seed), size, SPICES[spice], subjects=1)
    return [line for line in lines if json.loads(line)["type"] != "erase"]


def tick_after(lines: list[bytes], wait_ms: int) -> bytes:
    """Somebody else's event that moves the watermark and says nothing to any item."""
    at_ms = max(key_and_time(line)[1] for line in lines) + wait_ms
    event = {"event_id": f"tick-{at_ms}", "type": "products_searched", "query": "q", "customer_id": "c9"}
    return json.dumps(event | {"timestamp": at_ms}).encode()


def erase_after(lines: list[bytes], wait_ms: int = 60_000) -> bytes:
    """An erasure some time after the newest of these events, within their session or not."""
    at_ms = max(key_and_time(line)[1] for line in lines) + wait_ms
    return json.dumps({"event_id": "erasure", "type": "erase", "timestamp": at_ms, "customer_id": "c0"}).encode()


def later(lines: list[bytes], by_ms: int) -> list[bytes]:
    """The same events once more, later, as others."""
    events = [json.loads(line) for line in lines]
    return [
        json.dumps(event | {"event_id": f"again-{event['event_id']}", "timestamp": event["timestamp"] + by_ms}).encode()
        for event in events
    ]


def rows_of(finished: Finished) -> dict[str, bytes]:
    """What the item operator holds in the end, by item; items of whom nothing is left have no state."""
    logic, stores = ItemLogic(SIMILAR, live=True), defaultdict(PendingStore)
    for channel, key, payload in finished.outputs:
        if channel == Channel.ITEM:
            list(logic.on_message(key, payload, stores[key]))
    rows: dict[str, bytes] = {}
    for key, store in stores.items():
        emitted = {channel: payload for channel, _, payload in logic.on_end(key, store)}
        if store.value is not None or store.messages:
            rows[key] = b"held"
        if emitted.get(Channel.ROW):
            rows[key] = emitted[Channel.ROW]
    return {key: row for key, row in rows.items() if stores[key].value is not None}


class TestNothingIsLeft:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(
        st.integers(0, 1 << 32),
        st.integers(1, 60),
        st.sampled_from(SPICE),
        st.sampled_from([1, 20_000]),
        st.sampled_from(["bounded", "live"]),
        st.booleans(),
        st.sampled_from([60_000, 3 * HOUR_MS]),
    )
    def test_all_that_items_were_told_adds_up_to_nothing(
        self, seed: int, size: int, spice: str, cached: int, mode: str, in_disorder: bool, wait_ms: int
    ) -> None:
        """Told at the end, or at the end of each session; the erasure last, or somewhere among late events."""
        lines = history(seed, size, spice) or history(seed + 1, 30, "busy")
        lines = [*lines, tick_after(lines, wait_ms - 1), erase_after(lines, wait_ms)]
        arrived = shuffled(lines, 3 * DAY_MS, seed) if in_disorder else in_order(lines)
        other = [line.replace(b'"c0"', b'"c9"') for line in lines if b'"erasure"' not in line]
        arrived = [one for pair in zip(arrived, [*other, arrived[-1]], strict=False) for one in pair]
        until_ms = max(key_and_time(line)[1] for line in lines) + DAY_MS
        finished = (run if mode == "bounded" else run_live)(arrived, until_ms, cached_customers=cached, similar=SIMILAR)
        others = (run if mode == "bounded" else run_live)(
            [line for line in arrived if b'"c9"' in line], until_ms, similar=SIMILAR
        )
        assert finished.items() == others.items()
        assert rows_of(finished) == rows_of(others)
        assert "c0" not in finished.features()
        assert not [key for key in finished.memberships() if key[0] == "c0"]
        assert not [key for key in replay_into_map(finished.records()) if key[0] == "c0"]

    def test_told_before_it_is_taken_back_at_once(self) -> None:
        """Live: the items hear of a session once it is over, and of the erasure without delay."""
        lines = in_order(history(5, 40, "busy"))
        lines.append(tick_after(lines, HOUR_MS))
        end_ms = key_and_time(lines[-1])[1]
        told = run_live(lines, end_ms, similar=SIMILAR)
        assert told.items() == run(lines, end_ms, similar=SIMILAR).items() != {}
        finished = run_live([*lines, erase_after(lines)], end_ms + 60_000, similar=SIMILAR)
        assert len([one for one in finished.outputs if one[0] == Channel.ITEM]) > len(told.items())
        assert finished.items() == {}

    @pytest.mark.parametrize("arrival", ["in order", "erasure first", "shuffled"])
    @pytest.mark.parametrize("cached", [1, 20_000])
    def test_no_word_of_the_customer_stays_in_the_state(self, arrival: str, cached: int) -> None:
        """Neither packed nor in chunks: no id, no product, no device, whatever was repaired on the way."""
        phone, place, campaign, product, category, session, order, event_id = TELLTALE
        lines = []
        for number in range(900):
            event: dict[str, Any] = {
                "event_id": f"{event_id}-{number}",
                "type": "order_completed" if number % 9 == 0 else "product_viewed",
                "timestamp": 1_740_787_200_000 + number * 60_000,
                "customer_id": "c0",
                "session_id": f"{session}-{number // 50}",
                "context": {"device": phone, "location": f"{place}-{number % 90}", "channel": campaign},
            }
            line = {"product_id": product, "category": category}
            details = {"order_id": f"{order}-{number}", "products": [line]} if number % 9 == 0 else line
            lines.append(json.dumps(event | details).encode())
        lines.append(erase_after(lines))
        arrived = {
            "in order": lines,
            "erasure first": [lines[-1], *lines[:-1]],
            "shuffled": shuffled(lines, 6 * HOUR_MS, 3),
        }[arrival]
        finished = run_live(arrived, key_and_time(lines[-1])[1] + HOUR_MS, cached_customers=cached)
        store = finished.local.stores["c0"]
        held = b"".join([store.load() or b"", *store.values()])
        assert not [word for word in TELLTALE if word.encode() in held]
        assert len(store) == 1  # the hashed ids

    def test_the_tombstone_fades(self) -> None:
        """While events of before the erasure may arrive their hashed ids stay; then next to nothing does."""
        lines = in_order(history(9, 300, "busy"))
        erase = erase_after(lines)
        at_ms = key_and_time(erase)[1]
        week = Settings()
        sizes = []
        for wait_ms in (HOUR_MS, week.allowed_lateness_ms, week.allowed_lateness_ms + 1):
            finished = run_live([*lines, erase], at_ms + wait_ms, settings=week)
            store = finished.local.stores["c0"]
            sizes.append(len(store.load() or b"") + sum(map(len, store.values())))
        assert sizes[0] == sizes[1] > 8 * 200
        assert sizes[2] < 250


class TestSeenAgain:
    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(
        st.integers(0, 1 << 32),
        st.integers(1, 40),
        st.sampled_from(SPICE),
        st.sampled_from([1, 20_000]),
        st.sampled_from([60_000, 60_001, 5 * DAY_MS]),
        st.booleans(),
    )
    def test_it_is_as_if_there_had_been_only_the_later_events(
        self, seed: int, size: int, spice: str, cached: int, gap_ms: int, in_disorder: bool
    ) -> None:
        """Features, memberships, items; also when the later events begin in the millisecond of the erasure."""
        before = history(seed, size, spice) or history(seed + 1, 30, "busy")
        erase = erase_after(before)
        span_ms = key_and_time(erase)[1] - 60_000 - min(key_and_time(line)[1] for line in before)
        after = [line.replace(b"again-", b"z-again-") for line in later(before, span_ms + gap_ms)]
        lines = [*before, erase, *after]
        arrived = shuffled(lines, 3 * DAY_MS, seed) if in_disorder else in_order(lines)
        as_of_ms = max(key_and_time(line)[1] for line in lines) + 3 * DAY_MS
        finished = run(arrived, as_of_ms, cached_customers=cached, similar=SIMILAR)
        fresh = run(in_order(after), as_of_ms, similar=SIMILAR)
        assert_same(finished.features(), fresh.features())
        assert finished.memberships() == fresh.memberships()
        assert replay_into_map(finished.records()) == replay_into_map(fresh.records())
        assert finished.items() == fresh.items()
        assert without_own_support(finished.items()) == expected_items(lines, as_of_ms)


class TestDeliveredAgain:
    def test_what_was_erased_does_not_come_back(self) -> None:
        """The log is read again from its start: all are duplicates, the erasure too."""
        lines = in_order(history(3, 40, "busy"))
        lines = [*dict.fromkeys(lines), erase_after(lines)]
        as_of_ms = key_and_time(lines[-1])[1]
        finished = run([*lines, *lines], as_of_ms, settings=PATIENT)
        assert finished.features() == {}
        assert finished.items() == {}
        assert finished.counts["c0"]["duplicate"] == len(lines)
        assert finished.counts["c0"]["applied"] + finished.counts["c0"]["suppressed"] == len(lines)

    def test_refunds_take_what_items_were_told_back_as_well(self) -> None:
        """All orders cancelled: nothing is bought with anything."""
        lines = in_order(history(11, 60, "orders-again"))
        at_ms = key_and_time(lines[-1])[1] + 1
        cancels = [
            json.dumps(
                {"event_id": f"x{n}", "type": "order_cancelled", "order_id": f"o{n}", "timestamp": at_ms,
                 "customer_id": "c0"}
            ).encode()
            for n in range(2)
        ]  # fmt: skip
        consent = json.dumps(
            {"event_id": "a", "type": "consent", "purposes": {"personalization": True}, "timestamp": at_ms,
             "customer_id": "c0"}
        ).encode()  # fmt: skip
        finished = run_live([*lines, consent, *cancels], at_ms + HOUR_MS, similar=SIMILAR)
        assert not [key for key in finished.items() if key.startswith("bought-with")]
