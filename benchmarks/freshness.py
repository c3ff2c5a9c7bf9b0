"""How long after an event the customer's next recommendations know of it, through the whole running stack.

    python -m benchmarks.freshness [--rates 0 200 1000] [--seconds 60] [--parallelism 2] [--workers 1]

POST /v1/events, Kafka, the live job on a cluster, Redis, and GET /v1/recommendations of a server whose cache had
the customer's answer until then. Beside it the simulated shop sends so many events a second (`benchmarks/lapse.py`, its
times divided, but profiles are due once in a minute as by default, so that only what is written at once can be fresh).

A probe is a customer of its own. It asks for recommendations and gets what is popular; views an item, and asks until an
answer says "because you viewed" it; views another item, and asks again until one says that. Times are from the moment
before the POST to the answer that knows, asked for every 20 ms, so they are too long by up to that.
"""

import argparse
import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import quantiles
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from benchmarks.alone import alone
from benchmarks.kafka_latency import CATCH_UP_PER_S, JOB_STARTS_S, caught_up, fill_history, started
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import live_spec, make_topics
from benchmarks.lapse import STEADY_S, lapse, lapse_settings
from benchmarks.pace import Probes, send
from benchmarks.results import Results
from benchmarks.served import served
from jobs.live.rest import Cluster
from jobs.live.settings import LiveSpec
from jobs.stack.stack import Stack
from schemas.settings import MINUTE_MS

ASK_EVERY_S = 0.02
GIVE_UP_S = 10.0
REST_S = 0.2
PROBERS = 2
"""Probes at the same time."""
LEAST_RATE = 20
"""Of the history: without a shop there are no similar items."""
KINDS = ("a first event", "a later event")


class Prober:
    """One connection, and the probes that are made on it one after the other."""

    def __init__(self, url: str, items: list[str], number: int) -> None:
        address = urlsplit(url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=GIVE_UP_S)
        self._items, self._names = items, (f"fresh-{number}-{at}" for at in count())
        self._item = number * 7
        self.took_ms: dict[str, list[float]] = {kind: [] for kind in KINDS}
        self.lost = 0

    def run(self, until_s: float) -> None:
        """Probe until then."""
        while time.time() < until_s:
            name = next(self._names)
            self._ask(name)
            for kind in KINDS:
                self._item = (self._item + 1) % len(self._items)
                took_s = self._changed(name, self._items[self._item])
                if took_s is None:
                    self.lost += 1
                else:
                    self.took_ms[kind].append(1_000 * took_s)
                time.sleep(REST_S)

    def _changed(self, name: str, item: str) -> float | None:
        """Seconds from an event to the answer that knows of it; None: there was none."""
        began_s = time.perf_counter()
        event = {"event_id": f"{name}-{item}", "type": "product_viewed", "customer_id": name, "product_id": item,
                 "timestamp": time.time_ns() // 1_000_000}  # fmt: skip
        self._call("POST", "/v1/events", {"events": [event]})
        while (passed_s := time.perf_counter() - began_s) < GIVE_UP_S:
            if item in self._ask(name):
                return time.perf_counter() - began_s
            time.sleep(ASK_EVERY_S)
        print(f"  {name}: no answer knew of {item} within {passed_s:.0f} s", file=sys.stderr, flush=True)
        return None

    def _ask(self, name: str) -> set[str]:
        """The items because of which something is recommended."""
        answer = self._call("GET", f"/v1/recommendations/{quote(name)}?limit=50")
        return {str(one["about"]) for item in answer["items"] for one in item["reasons"] if one["kind"] == "viewed"}

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        headers = {} if body is None else {"content-type": "application/json"}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, (answer.status, content[:500])
        return json.loads(content)


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="From an event to recommendations that know of it.")
    parser.add_argument("--rates", type=int, nargs="+", default=[0, 200, 1_000])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    results = Results("freshness", "From an event to a changed recommendation", vars(options))
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        stack = Stack(Path(name) / "stack", owned=True)
        try:
            stack.up(PLAN)
            for rate in options.rates:
                settings = msgspec.structs.replace(lapse_settings(), profile_interval_ms=MINUTE_MS)
                spec = live_spec(stack, f"fresh{rate}.", options.parallelism, settings)
                _measure(results, spec, stack, Path(name), rate, options)
        finally:
            stack.down(wipe=True)
    results.finish()


def _measure(
    results: Results, spec: LiveSpec, stack: Stack, folder: Path, rate: int, options: argparse.Namespace
) -> None:
    _say(f"{rate:,} events/s beside it")
    load = lapse(max(rate, LEAST_RATE), STEADY_S + options.seconds)
    planned_s = time.time() + JOB_STARTS_S + len(load.history) / CATCH_UP_PER_S
    make_topics(spec, PARTITIONS)
    fill_history(spec, int(planned_s * 1_000), load.history)
    job_id, progress = alone(started, spec, stack, folder)
    cluster = Cluster(stack.plan.rest)
    caught_up(cluster, job_id, progress, len(load.history))
    start_s = max(planned_s, time.time() + 3)
    live = ("--bootstrap", stack.plan.bootstrap, "--topic-prefix", spec.topics.prefix)
    prefixed = {"SEGMILL_SERVE_REDIS_PREFIX": spec.redis.prefix}
    server = served(spec.redis.url, options.workers, *live, environment=prefixed)
    with server as (url, _), ThreadPoolExecutor(PROBERS + 1) as pool:
        items = _with_neighbours(url)
        _say(f"  {len(items)} items to view; pacing begins")
        paced = load.paced if rate else []
        nobody = Probes(0, 1, 0)
        sending = pool.submit(send, spec.kafka.bootstrap, spec.topics.events.name, int(start_s * 1_000), paced, nobody)
        time.sleep(max(0.0, start_s + STEADY_S - time.time()))
        probers = [Prober(url, items, number) for number in range(PROBERS)]
        list(pool.map(lambda one: one.run(start_s + STEADY_S + options.seconds), probers))
        behind_s = sending.result().behind_s
    cluster.cancel(job_id)
    client: Any = spec.redis.reached()
    client.flushall()
    lost = sum(one.lost for one in probers)
    for kind in KINDS:
        took = [ms for one in probers for ms in one.took_ms[kind]]
        cuts = quantiles(took, n=100, method="inclusive")
        for percent in (50, 90, 99):
            results.add(f"{rate:,} events/s, {kind}: p{percent}", "ms", cuts[percent - 1])
        results.add(f"↳ {kind}: the longest", "ms", max(took))
        results.add(f"↳ {kind}", "probes", len(took))
    results.add(f"{rate:,} events/s: no answer knew of it within {GIVE_UP_S:.0f} s", "probes", lost)
    _say(f"  {lost} lost; the producer was at most {behind_s:.2f} s behind its plan")


def _with_neighbours(url: str) -> list[str]:
    """Popular items that others are similar to, so that a view of one shows."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 0, timeout=GIVE_UP_S)

    def ask(path: str) -> Any:
        connection.request("GET", path)
        return json.loads(connection.getresponse().read())

    names = [one["item_id"] for one in ask("/v1/popular?scope=viewed&limit=100")["items"]]
    found = [name for name in names if len(ask(f"/v1/items/{quote(name)}/similar?limit=5")["neighbours"]) == 5]
    assert len(found) > 20, f"{len(found)} of {len(names)} popular items have neighbours"
    return found


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
