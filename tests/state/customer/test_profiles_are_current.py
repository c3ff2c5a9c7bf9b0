"""A live job's profile in the end says what all events together say, whatever came in which order."""

import json

import msgpack
from customer_runs import RULES, SIMILAR, run_live

from schemas.settings import DAY_MS, HOUR_MS, MINUTE_MS
from state.channels import Channel

T0 = 1_714_564_800_000


def view(number: int, time_ms: int) -> bytes:
    event = {"event_id": f"e{number}", "type": "product_viewed", "timestamp": time_ms, "customer_id": "c"}
    return json.dumps({**event, "product_id": "p"}).encode()


def last_views(*lines: bytes) -> int:
    """`views_90d` of the profile that was written last, five minutes later."""
    finished = run_live(lines, T0 + 5 * MINUTE_MS, rules=RULES, similar=SIMILAR)
    writes = [payload for channel, key, payload in finished.outputs if channel == Channel.REDIS and key == "c"]
    value = next(
        part for part in msgpack.unpackb(writes[-1], raw=True) if isinstance(part, bytes) and b"features" in part
    )
    views: int = msgpack.unpackb(value)["features"]["views_90d"]
    return views


class TestProfiles:
    def test_events_of_one_millisecond(self) -> None:
        """The second comes when the profile of that millisecond is written already."""
        assert last_views(view(1, T0), view(2, T0)) == 2

    def test_an_event_out_of_order(self) -> None:
        """It changes the profile as of a time that was written already."""
        assert last_views(view(1, T0), view(2, T0 + 60_000), view(3, T0 - 60_000)) == 3

    def test_refreshes_are_not_all_at_once(self) -> None:
        """What leaves a window is gone from the profile within the hour, of each customer at another minute."""
        refreshed = set()
        for minute in range(0, 60, 10):
            first_ms = T0 + minute * MINUTE_MS
            lines = [view(1, first_ms), view(2, first_ms + 5 * MINUTE_MS)]
            finished = run_live(lines, first_ms + DAY_MS + 2 * HOUR_MS, rules=RULES, similar=SIMILAR)
            values = [
                msgpack.unpackb(part)
                for channel, key, payload in finished.outputs
                if channel == Channel.REDIS and key == "c"
                for part in msgpack.unpackb(payload, raw=True)
                if isinstance(part, bytes) and b"features" in part
            ]
            gone_ms = first_ms + DAY_MS + 5 * MINUTE_MS
            as_of_ms = next(one["as_of_ms"] for one in values if not one["features"]["views_1d"])
            assert gone_ms <= as_of_ms < gone_ms + HOUR_MS
            refreshed.add(as_of_ms % HOUR_MS)
        assert len(refreshed) == 6
