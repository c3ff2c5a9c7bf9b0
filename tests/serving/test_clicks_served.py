"""Clicks, from the events to the answers: what the job counts, over a real Valkey, moves items."""

import asyncio
import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.keys import POPULAR_CLICKED, POPULAR_SHOWN, Keys
from schemas.settings import HOUR_MS, MINUTE_MS, Settings
from schemas.writes import popular_write, similar_write
from serving.local_cache import LocalCache
from serving.redis_source import RedisSource
from state.channels import Channel
from state.customer.logic import PLACE_END, CustomerLogic
from state.impressions.changes import HALF_LIFE_MS
from state.items.item import ItemLogic
from state.local import LocalRun
from state.local_population import ListStore
from state.rules.ruleset import load_rules
from state.similar.settings import SimilarSettings
from tests.serving.served import serve
from tests.serving.small_shop import NOW_MS, send

ASKED = f"/v1/recommendations/nobody?limit=2&viewed=x&time_ms={NOW_MS}"
LOG2_OF_A_CLICK = 22 + NOW_MS / HALF_LIFE_MS


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """With one list: whoever viewed `x` goes on to `a`, or a little less often to `b`."""
    with EmbeddedValkey(tmp_path) as server:
        send(server.url, similar_write("viewed-with", "x", 1, NOW_MS, [("a", 0.5, 20), ("b", 0.48, 20)]))
        yield server


def events() -> Iterator[tuple[str, int, bytes]]:
    """40 visitors were shown both, `b` below `a`; half of them clicked `b`, and one `a`. Then another one comes."""
    for number in range(40):
        for place, (item, kind) in enumerate(
            [("a", "shown"), ("b", "shown"), ("b", "clicked")][: 2 + number % 2] + [("a", "clicked")] * (number == 8)
        ):
            at_ms = NOW_MS - 6 * HOUR_MS + number * MINUTE_MS + place
            details = {"product_id": item, "position": 1 if item == "a" else 2, "request_id": f"r{number}"}
            yield _event(f"v{number}", f"{place}", at_ms, f"recommendation_{kind}", details)
    yield _event("last", "e", NOW_MS, "products_searched", {})


def _event(customer: str, name: str, at_ms: int, kind: str, details: dict[str, object]) -> tuple[str, int, bytes]:
    event = {"event_id": name, "type": kind, "timestamp": at_ms, "customer_id": customer, **details}
    return customer, at_ms, json.dumps(event).encode()


def job(url: str, erased: int = 0) -> None:
    """A live job in memory, its popularity written to Redis; the first visitors `erased` in the end."""
    connection, similar = RedisConnection(RedisTarget(url)), SimilarSettings()
    run = LocalRun(CustomerLogic(Settings(), load_rules(), similar, now_ms=lambda: NOW_MS), 5_000)
    ticks = iter(range(10**9))
    items, stores = ItemLogic(similar, live=True, now_ms=lambda: next(ticks)), defaultdict(ListStore)
    said = [*events()]
    said += [_event(f"v{number}", "gone", NOW_MS + 1 + number, "erase", {}) for number in range(erased)]
    for customer, at_ms, raw in said:
        for channel, key, payload in run.feed(customer, at_ms, PLACE_END + raw):
            if channel == Channel.ITEM:
                writes = [write for _, _, write in items.on_message(key, payload, stores[key])]
                connection.send(writes) if writes else None
    connection.close()


def scores(valkey: EmbeddedValkey, scope: str) -> dict[str, float]:
    """Counts at `NOW_MS`, as Redis has them."""
    found = valkey.client().zrange(Keys().popular(scope), 0, -1, withscores=True)
    return {item.decode() if isinstance(item, bytes) else item: 2 ** (log2 - LOG2_OF_A_CLICK) for item, log2 in found}


def names(answer: dict[str, Any]) -> list[str]:
    return [item["item_id"] for item in answer["items"]]


def test_from_events_to_answers(valkey: EmbeddedValkey) -> None:
    with serve("--without-keys", "--without-kafka", "--redis", valkey.url) as served:
        assert names(served.until(ASKED, 200).json) == ["a", "b"]
    job(valkey.url)
    assert scores(valkey, POPULAR_CLICKED) == {"a": pytest.approx(1, rel=0.15), "b": pytest.approx(20, rel=0.15)}
    assert scores(valkey, POPULAR_SHOWN) == {
        "a": pytest.approx(40, rel=0.15), "b": pytest.approx(40 * 0.631, rel=0.15),
    }  # fmt: skip
    with serve("--without-keys", "--without-kafka", "--redis", valkey.url) as served:
        until = time.monotonic() + 20
        while names(served.ask(ASKED).json) != ["b", "a"]:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert not served.ask(ASKED).json["degraded"]
        os.kill(valkey.pid, signal.SIGKILL)  # what was read serves on
        assert names(served.ask(ASKED).json) == ["b", "a"]


def test_an_erasure_takes_its_clicks_back(valkey: EmbeddedValkey) -> None:
    """All who clicked are gone, and then everybody."""
    job(valkey.url, erased=39)
    assert scores(valkey, POPULAR_CLICKED) == {"b": pytest.approx(1, rel=0.01)}
    valkey.client().flushall()
    job(valkey.url, erased=40)
    assert scores(valkey, POPULAR_CLICKED) == scores(valkey, POPULAR_SHOWN) == {}


def test_nobody_waits_for_them(valkey: EmbeddedValkey) -> None:
    """The first answer goes without; what is no set of ours counts as none; Redis gone, the last ones serve on."""
    send(valkey.url, popular_write(POPULAR_SHOWN, "a", 1, LOG2_OF_A_CLICK + 6))
    send(valkey.url, popular_write(POPULAR_CLICKED, "a", 1, LOG2_OF_A_CLICK + 3))
    send(valkey.url, popular_write(POPULAR_SHOWN, "b", 1, LOG2_OF_A_CLICK + 6))

    async def ask() -> None:
        source = RedisSource(valkey.url, Keys(), LocalCache(1 << 20, 60.0), 5.0, 5.0)
        assert source.clicks().factors(NOW_MS, 1.0) == {}  # there is no connection yet
        running = asyncio.ensure_future(source.link.run())
        await source.link.first(5.0)

        async def until(wanted: set[str]) -> None:
            async with asyncio.timeout(5):
                while source.clicks().factors(NOW_MS, 1.0).keys() != wanted:
                    await asyncio.sleep(0.01)

        await until({"a", "b"})
        valkey.client().set(Keys().popular(POPULAR_CLICKED), "no set")
        await until(set())
        valkey.client().delete(Keys().popular(POPULAR_CLICKED))
        send(valkey.url, popular_write(POPULAR_CLICKED, "b", 2, LOG2_OF_A_CLICK + 4))
        await until({"a", "b"})
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for _ in range(20):
            assert source.clicks().factors(NOW_MS, 1.0).keys() == {"a", "b"}
            await asyncio.sleep(0.01)
        assert source.failures == 0

    asyncio.run(ask())
