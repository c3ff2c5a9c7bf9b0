"""What is popular in an evaluation is what serving would say over the Redis that the job wrote."""

import asyncio
import json
from collections.abc import Iterator
from random import Random

import pytest

from jobs.runtime.valkey import EmbeddedValkey
from operators.redis_connection import RedisConnection, RedisTarget
from schemas.keys import Keys
from schemas.settings import DAY_MS, Settings
from schemas.writes import MOST_POPULAR as MOST_WRITTEN
from serving.catalog.item import Item
from serving.catalog.store import CatalogStore
from serving.evaluation.replay_source import MADE_FOR_MS, ReplaySource
from serving.evaluation.shop import LocalShop
from serving.local_cache import LocalCache
from serving.popularity import MEMBERS, MOST_POPULAR, Ranked
from serving.redis_source import RedisSource
from state.rules.ruleset import load_rules

NOW_MS = 1_740_787_200_000
RULES = load_rules()
CATEGORIES = ("tea", "süß", "pots:big")
ITEMS = [
    Item(item_id=f"p-{number}", category=CATEGORIES[number % 3], listed_ms=NOW_MS - number % 7 * DAY_MS)
    for number in range(1_200)
]
NAMED = {"category": CATEGORIES, "new": CATEGORIES, "segment": tuple(segment.name for segment in RULES.segments)}
SCOPES = (
    "all", "viewed", "bought", "else",
    *(f"{kind}:{name}" for kind, names in NAMED.items() for name in (*names, "none")),
)  # fmt: skip


class Shop(LocalShop):
    """One that tells what it writes."""

    def __init__(self, source: ReplaySource) -> None:
        super().__init__(Settings(profile_interval_ms=0), RULES, source)
        self.writes: list[bytes] = []

    def _write(self, payload: bytes) -> None:
        self.writes.append(payload)
        super()._write(payload)


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    with EmbeddedValkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


def events(draw: Random) -> Iterator[tuple[str, int, bytes]]:
    """Visits of a month, at last one of all items; some customers buy often, and some are forgotten in the end."""
    popular = sorted(range(len(ITEMS)), key=lambda _: draw.random())
    at_ms = NOW_MS - 30 * DAY_MS
    for number in range(1_500):
        customer = f"c-{draw.randrange(800)}"
        at_ms += 1_500_000
        viewed = [ITEMS[popular[int(len(ITEMS) * draw.random() ** 3)]].item_id for _ in range(4)]
        if number >= 1_200:
            viewed = [item.item_id for item in ITEMS[(number - 1_200) * 4 : (number - 1_199) * 4]]
        for place, item_id in enumerate(viewed):
            yield _event(customer, f"v-{number}-{place}", at_ms + place, "product_viewed", {"product_id": item_id})
        if number % 3 == 0:
            lines = [{"product_id": item_id, "quantity": 1, "price": 5} for item_id in viewed[:2]]
            details = {"order_id": f"o-{number}", "products": lines}
            yield _event(customer, f"o-{number}", at_ms + 9, "order_completed", details)
    for number in range(10):
        yield _event(f"c-{number}", "gone", at_ms + 1_000 + number, "erase", {})


def _event(customer: str, name: str, at_ms: int, kind: str, details: dict[str, object]) -> tuple[str, int, bytes]:
    event = {"event_id": name, "type": kind, "timestamp": at_ms, "customer_id": customer, **details}
    return customer, at_ms, json.dumps(event).encode()


async def served(url: str) -> dict[str, Ranked]:
    """By a process that has asked for nothing before."""
    source = RedisSource(url, Keys(), LocalCache(1 << 24, 60.0), 5.0, 5.0)
    running = asyncio.ensure_future(source.link.run())
    await source.link.first(5.0)
    found = {scope: tuple(await source.popular(scope, 500)) for scope in SCOPES}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    return found


def test_every_scope_at_every_time(valkey: EmbeddedValkey) -> None:
    """Item by item and score by score, from the first visits on."""
    CatalogStore(valkey.client(), Keys()).write(ITEMS, NOW_MS)
    source, connection = ReplaySource(), RedisConnection(RedisTarget(valkey.url))
    source.put_items(ITEMS)
    source.put_items([Item(item_id="later", category="tea", listed_ms=NOW_MS + 30 * DAY_MS)])
    source.now_ms = NOW_MS
    shop, client, compared, written = Shop(source), valkey.client(), 0, 0
    most: dict[str, int] = dict.fromkeys(SCOPES, 0)
    said = list(events(Random(1)))
    for number, (customer, at_ms, raw) in enumerate(said, 1):
        shop.feed(customer, at_ms, raw)
        if number % 1_300 == 0 or number == len(said):
            connection.send(shop.writes)
            shop.writes.clear()
            source.now_ms += MADE_FOR_MS  # what was made is made anew
            expected = asyncio.run(served(valkey.url))
            assert {scope: source.first(scope, 500) for scope in SCOPES} == expected
            most = {scope: max(count, len(expected[scope])) for scope, count in most.items()}
            compared, written = compared + 1, max(written, client.zcard(Keys().popular("viewed")))
    connection.close()
    assert compared > 4
    assert most["viewed"] == most["bought"] == most["new:tea"] == MOST_POPULAR < most["all"]
    assert all(most[f"category:{name}"] for name in CATEGORIES)
    assert written == MOST_WRITTEN
    members = {name: client.zcard(Keys().segment(name)) for name in NAMED["segment"]}
    assert max(members.values()) > MEMBERS
    assert {name for name, count in members.items() if count} <= {
        scope.partition(":")[2] for scope, count in most.items() if count
    }


class TestHowFresh:
    def test_a_segment_is_made_once_a_minute_of_the_log(self) -> None:
        """As serving does by the clock; what everybody views is there at once."""
        source = ReplaySource()
        source.now_ms = NOW_MS
        source.put_members("c", {"vip": 1}, ())
        source.profiles["c"] = {"recent": {"viewed": [["a", NOW_MS]]}}
        source.put_popular("viewed", "a", 1.0)
        assert source.first("segment:vip", 9) == source.first("all", 9) == (("a", 1.0),)
        source.profiles["c"] = {"recent": {"viewed": [["b", NOW_MS]]}}
        source.put_popular("viewed", "b", 2.0)
        source.now_ms += MADE_FOR_MS - 1
        assert source.first("segment:vip", 9) == (("a", 1.0),)
        assert source.first("all", 9) == (("b", 1.0), ("a", 0.5))
        source.now_ms += 1
        assert source.first("segment:vip", 9) == (("b", 1.0),)
        source.put_members("c", {}, ("vip",))
        source.now_ms += MADE_FOR_MS
        assert source.first("segment:vip", 9) == ()

    def test_what_is_listed_later_is_not_new_yet(self) -> None:
        """Else a log of last year would be asked about this year's items."""
        source = ReplaySource()
        source.put_items(Item(item_id=str(day), category="tea", listed_ms=day * DAY_MS) for day in (2, 3, 4))
        source.now_ms = 3 * DAY_MS
        assert source.first("new:tea", 9) == (("3", 3.0 * DAY_MS), ("2", 2.0 * DAY_MS))
