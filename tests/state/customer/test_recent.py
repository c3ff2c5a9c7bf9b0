"""What a profile has of the last views and purchases, against lists of the events."""

from random import Random
from typing import Any

import msgpack
import msgspec
import pytest
from customer_runs import in_order, key_and_time, run
from nasty_streams import SPICES, nasty_stream
from oracle.events import Event, parse_events
from oracle.plain import cart_of, history_of, order_by_id, session_of_each

from schemas.profiles import unpack_versioned
from schemas.settings import DAY_MS
from schemas.writes import WriteKind
from state.channels import Channel
from state.customer.recent import BOUGHT_MAX, VIEWED_MAX, recent


def expected(applied: list[Event]) -> dict[str, Any]:
    """The newest first; of one order by name, as similar items have them."""
    views = [[event.product_id, event.time_ms] for event in applied if event.type == "product_viewed"]
    orders = sorted(order_by_id(applied).values(), key=lambda order: (order.time_ms, order.event_id))
    entries = [(name, order) for order in orders for name in sorted(order.units)][-BOUGHT_MAX:]
    parts = {
        "viewed": views[: -VIEWED_MAX - 1 : -1],
        "cart": cart_of(applied),
        "bought": [[name, order.time_ms] for name, order in reversed(entries) if order.counts and order.left[name]],
        "session_ms": session_of_each(applied)[-1].first_ms,
    }
    return {name: value for name, value in parts.items() if value or (name == "bought" and orders)}


class TestRecent:
    @pytest.mark.parametrize("spice", SPICES)
    def test_what_the_events_say(self, spice: str) -> None:
        """In whatever order they come; only of those who are shown."""
        seen = set()
        for seed in range(6):
            lines = nasty_stream(Random(f"recent {spice} {seed}"), 60, SPICES[spice])
            accepted = [line for line in lines if key_and_time(line) is not None]
            as_of_ms = max(known[1] for line in accepted if (known := key_and_time(line)))
            finished = run(lines, as_of_ms)
            events = parse_events(in_order(accepted))
            found = {}
            for channel, key, payload in finished.outputs:
                if channel == Channel.REDIS:
                    kind, _, packed, *_ = msgpack.unpackb(payload, raw=True)
                    found[key] = unpack_versioned(packed) if kind == WriteKind.PROFILE else None
            for key, profile in found.items():
                applied = history_of([event for event in events if event.subject == key], as_of_ms).applied
                if profile is not None:
                    assert profile["recent"] == expected(applied)
                    seen |= profile["recent"].keys()
        assert len(seen) > 1

    def test_no_more_than_so_many(self) -> None:
        """Of views and of what was bought, the newest ones."""
        start_ms, lines, letters = 1_700_000_000_000, [], "abcdefghijklmnopqrst"
        for number in range(30):
            at_ms, product = start_ms + number * 60_000, f"p{number}"
            event = {"customer_id": "c", "timestamp": at_ms}
            lines.append(event | {"event_id": f"v{number}", "type": "product_viewed", "product_id": product})
            products = [{"product_id": f"{product}{letter}", "quantity": 1, "price": 1} for letter in letters]
            order = {"event_id": f"o{number}", "type": "order_completed", "order_id": f"o{number}"}
            lines.append(event | order | {"products": products})
        finished = run(map(msgspec.json.encode, lines), start_ms + DAY_MS)
        found = recent(finished.customer("c").fold)
        assert [name for name, _ in found["viewed"]] == [f"p{number}" for number in range(29, 9, -1)]
        assert [name for name, _ in found["bought"]] == [
            f"p{number}{one}" for number in range(29, 4, -1) for one in reversed(letters)
        ]
        assert len(found["bought"]) == BOUGHT_MAX
        assert found["session_ms"] == start_ms
