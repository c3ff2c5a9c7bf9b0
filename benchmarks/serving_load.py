"""How fast is `segmill serve`, and how much memory does it take? Real Valkey, real server, open-loop load.

`python -m benchmarks.serving_load --customers 10000 100000 1000000`: also how both grow.
"""

import argparse
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from benchmarks.http_load import Loaded, load
from benchmarks.results import Results
from benchmarks.served import served
from jobs.runtime.valkey import EmbeddedValkey
from schemas.keys import Keys
from schemas.profiles import pack_versioned
from serving.catalog.item import Item
from serving.catalog.store import pack_item
from state.similar.settings import RELATIONS

NOW_MS = time.time_ns() // 1_000_000
"""What customers did is an hour to ten hours old, their session a second."""
DAY_MS = 86_400_000
CATEGORIES = 40
SEGMENTS = ("regulars", "frequent-buyers", "browsers", "high-value", "lapsing")
BATCH = 1_000
LIMIT_MS = 50.0
STEP = 1.25
WINDOWS = (1, 7, 14, 30, 90)
COUNTS = ("views", "cart_adds", "searches", "wishlist_adds", "orders", "revenue", "sessions", "session_ms")


def main() -> None:
    """Measure, size by size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, nargs="*", default=[100_000])
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--rate", type=float, default=1_000.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--step-seconds", type=float, default=5.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--highest", type=float, default=20_000.0, help="no rate above this is tried")
    options = parser.parse_args()
    results = Results("serving_load", "segmill serve under load", vars(options))
    for customers in options.customers:
        with TemporaryDirectory(prefix="segmill-") as folder, EmbeddedValkey(Path(folder) / "v") as valkey:
            fill(valkey.client(), customers, options.items)
            results.add(f"{customers:,} customers: Valkey", "MB", resident_mb(valkey.pid))
            with served(valkey.url, options.workers, "--without-kafka") as (url, pid):
                measure(results, f"{customers:,} customers", url, pid, options, customers)
    results.notes.append("client, server and Valkey share the cores; latency counts from when a request was due")
    results.finish()


def measure(results: Results, name: str, url: str, pid: int, options: argparse.Namespace, customers: int) -> None:
    """One size: each kind of request at the rate, then the highest rate of recommendations."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    kinds = requests(random.Random(7), customers, options.items)
    load(host, port, kinds["recommendations"], options.rate / 2, 3)
    for kind, request in kinds.items():
        before_s = cpu_s(pid)
        found = load(host, port, request, options.rate, options.seconds)
        told(results, f"{name}, {options.rate:,.0f} {kind}/s", found)
        results.add(f"↳ {kind}: server's CPU", "cores", (cpu_s(pid) - before_s) / options.seconds)
    results.add(f"↳ {name}: memory of {options.workers} workers", "MB", sum(resident_mb(one) for one in workers(pid)))
    rate, best, found = options.rate, 0.0, None
    while rate <= options.highest:
        found = load(host, port, kinds["recommendations"], rate, options.step_seconds)
        share = found.degraded / max(1, len(found.latencies_ms))
        print(
            f"  {rate:,.0f}/s: p99 {found.percentile(0.99):.1f} ms, degraded {share:.1%}", file=sys.stderr, flush=True
        )
        if found.percentile(0.99) >= LIMIT_MS or share > 0.001 or set(found.statuses) != {200}:
            break
        best, rate = rate, rate * STEP
    results.add(f"{name}: highest rate of recommendations with p99 below 50 ms, none degraded", "requests/s", best)
    results.add(f"↳ {name}: memory afterwards", "MB", sum(resident_mb(one) for one in workers(pid)))


def told(results: Results, name: str, found: Loaded) -> None:
    """Percentiles and what was not as it should be."""
    for share in (0.5, 0.9, 0.99, 0.999):
        results.add(f"{name}: p{100 * share:g}", "ms", found.percentile(share))
    wrong = found.unanswered + sum(count for status, count in found.statuses.items() if status not in (200, 404))
    results.add("↳ errors", "requests", wrong)
    results.add("↳ degraded", "requests", found.degraded)


def requests(draw: random.Random, customers: int, items: int) -> dict[str, Callable[[], str]]:
    """What is asked: any customer as likely as any other, items as popular as they are in shops (Zipf)."""

    def item() -> int:
        return popular_item(draw, items)

    return {
        "recommendations": lambda: f"/v1/recommendations/c-{draw.randrange(customers)}?limit=10&product_id=p-{item()}",
        "profiles": lambda: f"/v1/customers/c-{draw.randrange(customers)}",
        "similar": lambda: f"/v1/items/p-{item()}/similar",
    }


def popular_item(draw: random.Random, items: int) -> int:
    """An item, drawn as customers choose: the n-th most popular one 1/n times as often as the first (Zipf)."""
    return min(items, int((items + 1) ** draw.random())) - 1


def fill(client: Any, customers: int, items: int) -> None:
    """Write customers, lists, catalog and trends, as large as real ones are."""
    draw, keys = random.Random(1), Keys()

    def write(count: int, made: Callable[[int], tuple[str, bytes]]) -> None:
        for begin in range(0, count, BATCH):
            client.mset(dict(made(number) for number in range(begin, min(count, begin + BATCH))))

    write(customers, lambda number: (keys.profile(f"c-{number}"), profile(draw, number, items)))
    for relation in RELATIONS:
        write(items, lambda number, of=relation: (keys.similar(of, f"p-{number}"), similar(draw, number, items)))  # type: ignore[misc]
    write(items, lambda number: (keys.item(f"p-{number}"), item(draw, number)))
    scopes = ["all", *(f"category:k-{n}" for n in range(CATEGORIES)), *(f"segment:{name}" for name in SEGMENTS)]
    for scope in scopes:
        client.zadd(keys.popular(scope), {f"p-{draw.randrange(items)}": draw.random() for _ in range(1_000)})
    client.hset(keys.meta, mapping={"as_of_ms": NOW_MS, "rule_version": "none"})


def profile(draw: random.Random, number: int, items: int) -> bytes:
    """A customer with all windows, ten views, three purchases."""
    features: dict[str, Any] = {f"{name}_{days}d": draw.randrange(20) for name in COUNTS for days in WINDOWS}
    features |= {"engagement": draw.random() * 100, "device": "phone", "location": "DE",
                 "top_categories": [f"k-{draw.randrange(CATEGORIES)}" for _ in range(3)]}  # fmt: skip
    recent = {
        "viewed": [[f"p-{popular_item(draw, items)}", NOW_MS - hour * 3_600_000] for hour in range(10)],
        "bought": [[f"p-{popular_item(draw, items)}", NOW_MS - day * DAY_MS] for day in range(3)],
        "cart": {f"p-{popular_item(draw, items)}": 1},
        "session_ms": NOW_MS - 1_000,
    }
    segments = dict.fromkeys(draw.sample(SEGMENTS, 2), NOW_MS - DAY_MS)
    body = {"customer_id": f"c-{number}", "features": features, "segments": segments, "recent": recent}
    return pack_versioned(1, NOW_MS, body)


def similar(draw: random.Random, number: int, items: int) -> bytes:
    """Fifty neighbours."""
    listed = [[f"p-{(number + draw.randrange(1, items)) % items}", 1 / rank, 60 - rank] for rank in range(1, 51)]
    return pack_versioned(1, NOW_MS, {"neighbours": listed})


def item(draw: random.Random, number: int) -> bytes:
    """As a shop describes one."""
    return pack_item(
        Item(item_id=f"p-{number}", category=f"k-{number % CATEGORIES}", tags=("new",), in_stock=draw.random() < 0.95,
             price_cents=draw.randrange(100, 10_000), title=f"Item {number} of the shop", url=f"/items/{number}",
             listed_ms=NOW_MS)
    )  # fmt: skip


def workers(pid: int) -> list[int]:
    """Processes of the server that answer."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def resident_mb(pid: int) -> float:
    """Memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cpu_s(pid: int) -> float:
    """CPU time of the workers so far."""
    ticks = 0
    for one in workers(pid):
        fields = Path(f"/proc/{one}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
