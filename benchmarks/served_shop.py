"""A shop in Redis as large as real ones are, filled and kept changing as the job does; and how its server is set up."""

import random
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import log2
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import redis

from operators.redis_connection import RedisConnection, RedisTarget
from schemas.keys import POPULAR_BOUGHT, POPULAR_CLICKED, POPULAR_SHOWN, POPULAR_VIEWED, Keys
from schemas.profiles import pack_versioned
from schemas.settings import DAY_MS, HOUR_MS
from schemas.writes import MOST_POPULAR, meta_write, popular_write, profile_write, similar_write
from serving.api_keys import new_key
from serving.catalog.item import Item
from serving.catalog.store import pack_item
from state.rules.ruleset import load_rules
from state.similar.settings import RELATIONS

NOW_MS = time.time_ns() // 1_000_000
"""What customers did is an hour to ten hours old, their session a second."""
CATEGORIES = 40
SEGMENTS = ("regulars", "frequent-buyers", "browsers", "high-value", "lapsing")
BATCH = 1_000
WINDOWS = (1, 7, 14, 30, 90)
COUNTS = ("views", "cart_adds", "searches", "wishlist_adds", "orders", "revenue", "sessions", "session_ms")
LISTED = 50
"""Neighbours in a list."""
WRITES_EVERY_S = 0.05
MOVES_EVERY, LISTS_EVERY = 20, 10
"""One of so many events moves a customer between segments; makes a list of similar items new."""
_SHOP_RULES = """
[rules.phones]
action = "boost"
factor = 1.3
tags = ["new"]
devices = ["mobile"]
[rules.valued]
action = "boost"
factor = 1.2
categories = ["k-1", "k-2", "k-3"]
condition = 'segment("high-value") and orders_30d >= 2'
[rules.last]
action = "bury"
factor = 0.5
categories = ["k-39"]
[rules.sold-out]
action = "hide"
in_stock = false
[rules.hero]
action = "pin"
items = ["p-451"]
position = 2
pages = ["home"]
"""
_EXPERIMENTS = """
[holdout]
share = 0.05
[experiment.memory]
[experiment.memory.variant.control]
share = 50
[experiment.memory.variant.short]
share = 50
ranking = { recent_views = 5 }
[experiment.page]
[experiment.page.variant.control]
share = 50
parameters = { columns = 3 }
[experiment.page.variant.wide]
share = 50
parameters = { columns = 6 }
"""


def fill(url: str, customers: int, items: int) -> None:
    """Write customers, lists, catalog, members and what is popular. Nothing that only the server makes."""
    draw, keys, client = random.Random(1), Keys(), redis.Redis.from_url(url)

    def write(count: int, made: Callable[[int], tuple[str, bytes]]) -> None:
        for begin in range(0, count, BATCH):
            client.mset(dict(made(number) for number in range(begin, min(count, begin + BATCH))))

    members: dict[str, dict[str, int]] = {name: {} for name in SEGMENTS}

    def customer(number: int) -> tuple[str, bytes]:
        body = profile(draw, number, items)
        for name, since_ms in body["segments"].items():
            members[name][f"c-{number}"] = since_ms
        return keys.profile(f"c-{number}"), pack_versioned(1, NOW_MS, body)

    write(customers, customer)
    for name, since in members.items():
        pairs = list(since.items())
        for begin in range(0, len(pairs), BATCH):
            client.zadd(keys.segment(name), dict(pairs[begin : begin + BATCH]))
    for relation in RELATIONS:
        write(items, lambda number, of=relation: (keys.similar(of, f"p-{number}"), similar(draw, number, items)))  # type: ignore[misc]
    write(items, lambda number: (keys.item(f"p-{number}"), pack_item(item(draw, number))))
    for scope, most in ((POPULAR_VIEWED, 1e5), (POPULAR_BOUGHT, 1e4), (POPULAR_SHOWN, 1e6), (POPULAR_CLICKED, 1e4)):
        ranks = range(1, min(MOST_POPULAR, items) + 1)
        client.zadd(keys.popular(scope), {f"p-{rank - 1}": popular_log2(most / rank) for rank in ranks})
    connection = RedisConnection(RedisTarget(url))
    connection.send([meta_write(NOW_MS, {"rule_version": load_rules().version, "currency": "EUR"})])
    connection.close()


def popular_log2(count: float) -> float:
    """A decayed count as the job writes it, today."""
    return NOW_MS / (30 * DAY_MS) + log2(count)


@contextmanager
def changing(url: str, customers: int, items: int, per_s: float) -> Iterator[None]:
    """So many events a second change what is written about customers, items and segments, in a process of its own."""
    if not per_s:
        yield
        return
    context = get_context("spawn")
    stop = context.Event()
    writer = context.Process(target=_write, args=(url, customers, items, per_s, stop), daemon=True)
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join(10)
        if writer.exitcode != 0:
            print(f"the writer ended with {writer.exitcode}", file=sys.stderr)


def _write(url: str, customers: int, items: int, per_s: float, stop: Event) -> None:
    draw, connection, began_s, done = random.Random(2), RedisConnection(RedisTarget(url)), time.monotonic(), 0
    while not stop.wait(WRITES_EVERY_S):
        due = int((time.monotonic() - began_s) * per_s)
        writes = [write for number in range(done, due) for write in _event(draw, number, customers, items)]
        done = due
        if writes:
            connection.send(writes)
    connection.close()


def _event(draw: random.Random, number: int, customers: int, items: int) -> Iterator[bytes]:
    """What the job writes for one event: a profile, and now and then the rest."""
    now_ms = time.time_ns() // 1_000_000
    customer = draw.randrange(customers)
    body = profile(draw, customer, items)
    since = body["segments"] if number % MOVES_EVERY == 0 else None
    left = [] if since is None else [one for one in SEGMENTS if one not in since]
    yield profile_write(f"c-{customer}", now_ms, now_ms, body, since, left)
    seen = popular_item(draw, items)
    yield popular_write(POPULAR_VIEWED, f"p-{seen}", now_ms, popular_log2(1e5 / (seen + 1) + draw.random()))
    if number % LISTS_EVERY == 0:
        yield similar_write(RELATIONS[0], f"p-{seen}", now_ms, now_ms, neighbours(draw, seen, items))


def popular_item(draw: random.Random, items: int) -> int:
    """An item, drawn as customers choose: the n-th most popular one 1/n times as often as the first (Zipf)."""
    return min(items, int((items + 1) ** draw.random())) - 1


def profile(draw: random.Random, number: int, items: int) -> dict[str, Any]:
    """A customer with all windows, ten views, three purchases."""
    features: dict[str, Any] = {f"{name}_{days}d": draw.randrange(20) for name in COUNTS for days in WINDOWS}
    features |= {"engagement": draw.random() * 100, "device": "phone", "location": "DE",
                 "top_categories": [f"k-{draw.randrange(CATEGORIES)}" for _ in range(3)]}  # fmt: skip
    recent = {
        "viewed": [[f"p-{popular_item(draw, items)}", NOW_MS - hour * HOUR_MS] for hour in range(10)],
        "bought": [[f"p-{popular_item(draw, items)}", NOW_MS - day * DAY_MS] for day in range(3)],
        "cart": {f"p-{popular_item(draw, items)}": 1},
        "session_ms": NOW_MS - 1_000,
    }
    segments = {name: NOW_MS - draw.randrange(30 * DAY_MS) for name in draw.sample(SEGMENTS, 2)}
    return {"customer_id": f"c-{number}", "features": features, "segments": segments, "recent": recent}


def neighbours(draw: random.Random, number: int, items: int) -> list[tuple[str, float, int]]:
    """Fifty."""
    return [(f"p-{(number + draw.randrange(1, items)) % items}", 1 / at, 60 - at) for at in range(1, LISTED + 1)]


def similar(draw: random.Random, number: int, items: int) -> bytes:
    """The same as it is stored."""
    return pack_versioned(1, NOW_MS, {"neighbours": neighbours(draw, number, items)})


def item(draw: random.Random, number: int) -> Item:
    """As a shop describes one."""
    return Item(
        item_id=f"p-{number}", category=f"k-{number % CATEGORIES}", tags=("new",), in_stock=draw.random() < 0.95,
        price_cents=draw.randrange(100, 10_000), title=f"Item {number} of the shop", url=f"/items/{number}",
        listed_ms=NOW_MS,
    )  # fmt: skip


def set_up(folder: Path) -> tuple[list[str], str]:
    """Options of a server with keys, rates, shop rules and experiments; and a key that may read."""
    key, sha256 = new_key()
    files = {
        "keys.toml": f'[[keys]]\nname = "shop"\nsha256 = "{sha256}"\nscopes = ["read"]\nrate_per_s = 1000000\n',
        "rules.toml": _SHOP_RULES,
        "experiments.toml": _EXPERIMENTS,
        "serve.toml": f'experiments_file = "{folder}/experiments.toml"\n'
        f'[ranking]\nrules_file = "{folder}/rules.toml"\n',
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "keys.toml").chmod(0o600)
    return ["--keys", str(folder / "keys.toml"), "--config", str(folder / "serve.toml")], key
