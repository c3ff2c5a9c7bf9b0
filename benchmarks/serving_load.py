"""How fast is `segmill serve`, and how much memory does it take? Real Valkey, real server, open-loop load.

`python -m benchmarks.serving_load --customers 10000 100000 1000000`: also how both grow. Keys, rates, shop rules and
experiments are on, unless it is `--plain`. Meanwhile `--events` a second change what is written, as the job would.
"""

import argparse
import os
import random
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.http_load import Loaded, load
from benchmarks.results import Results
from benchmarks.served import served
from benchmarks.served_shop import changing, fill, popular_item, set_up
from jobs.runtime.valkey import EmbeddedValkey

LIMIT_MS = 50.0
STEP = 1.25


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
    parser.add_argument("--events", type=float, default=200.0, help="so many a second change what Redis holds")
    parser.add_argument("--plain", action="store_true", help="without keys, rates, shop rules and experiments")
    options = parser.parse_args()
    results = Results("serving_load", "segmill serve under load", vars(options))
    for customers in options.customers:
        with TemporaryDirectory(prefix="segmill-") as folder, EmbeddedValkey(Path(folder) / "v") as valkey:
            fill(valkey.url, customers, options.items)
            results.add(f"{customers:,} customers: Valkey", "MB", resident_mb(valkey.pid))
            given, key = ([], "") if options.plain else set_up(Path(folder))
            with (
                served(valkey.url, options.workers, "--without-kafka", *given) as (url, pid),
                changing(valkey.url, customers, options.items, options.events),
            ):
                headers = [f"x-api-key: {key}"] if key else []
                measure(results, f"{customers:,} customers", url, pid, options, customers, headers)
                results.add("↳ Valkey afterwards", "MB", resident_mb(valkey.pid))
    results.notes.append("client, server and Valkey share the cores; latency counts from when a request was due")
    results.finish()


def measure(
    results: Results, name: str, url: str, pid: int, options: argparse.Namespace, customers: int, headers: list[str]
) -> None:
    """One size: each kind of request at the rate, then the highest rate of recommendations."""
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 0
    kinds = requests(random.Random(7), customers, options.items)
    load(host, port, kinds["recommendations"], options.rate / 2, 3, headers)
    for kind, request in kinds.items():
        before_s = cpu_s(pid)
        found = load(host, port, request, options.rate, options.seconds, headers)
        told(results, f"{name}, {options.rate:,.0f} {kind}/s", found)
        results.add(f"↳ {kind}: server's CPU", "cores", (cpu_s(pid) - before_s) / options.seconds)
    results.add(f"↳ {name}: memory of {options.workers} workers", "MB", sum(resident_mb(one) for one in workers(pid)))
    rate, best, found = options.rate, 0.0, None
    while rate <= options.highest:
        found = load(host, port, kinds["recommendations"], rate, options.step_seconds, headers)
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
