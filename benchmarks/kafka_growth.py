"""How the live job's cost grows: with the number of customers, and with one customer who has a tenth of the events.

    python -m benchmarks.kafka_growth [--customers 10000 100000 1000000] [--parallelism 1]

On a cluster of this machine, with state in RocksDB and incremental checkpoints, as in `flink-conf/config.yaml`. The log
is made of the simulated shop's (see `log`). The rate is that from the first event to the last. Then the job is
cancelled and submitted anew from its last checkpoint; *restored* is the time until an event that waited for it is in
Redis, *submit* included, which starts a Java.
"""

import argparse
import time
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.alone import alone
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import grown, live_spec, make_topics, submitted
from benchmarks.lapse import renamed
from benchmarks.results import Results
from benchmarks.topic import fill
from benchmarks.workload import Records
from jobs.live.rest import Cluster
from jobs.live.settings import LiveSpec
from jobs.live.submit import LATEST
from jobs.simulation import SimulationSettings, simulate
from jobs.stack.stack import Stack
from schemas.decode import Decoder
from schemas.keys import Keys
from schemas.settings import Settings

EVENTS = {10_000: 300_000, 100_000: 500_000, 1_000_000: 2_000_000}
"""Of so many customers; others have five each."""
BASE_EVENTS = 500_000
"""Of the log whose customers serve as patterns."""
HOT_CUSTOMERS = 10_000
HOT_SHARE = 0.1
SETTINGS = {
    "state.backend.type": "rocksdb",
    "execution.checkpointing.incremental": "true",
    "state.backend.rocksdb.timer-service.factory": "ROCKSDB",
}
PATIENCE_S = 1_200.0


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="The live job with more customers, and with a hot one.")
    parser.add_argument("--customers", type=int, nargs="+", default=sorted(EVENTS))
    parser.add_argument("--parallelism", type=int, default=1)
    options = parser.parse_args()
    results = Results("kafka_growth", "The live job as it grows, state in RocksDB", vars(options))
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        stack = Stack(Path(name) / "stack", owned=True)
        try:
            stack.up(PLAN)
            even = _measure(results, stack, Path(name), HOT_CUSTOMERS, 0.0, options.parallelism)
            hot = _measure(results, stack, Path(name), HOT_CUSTOMERS, HOT_SHARE, options.parallelism)
            results.add("  with the hot one / without", "ratio", hot / even)
            for customers in options.customers:
                _measure(results, stack, Path(name), customers, None, options.parallelism)
        finally:
            stack.down(wipe=True)
    results.finish()


def log(customers: int, events: int, hot_share: float | None = None) -> Records:
    """So many customers who come, each of them `events // customers` times; with a `hot_share`, 0 or more, its own mix.

    Most of those whom the simulated shop knows never come while a log lasts, and those who do are of all kinds. So here
    each has the first events of one who has enough of them, and that one serves again and again, under other names.
    Products are the same for all: a larger shop has no larger catalogue here.
    """
    if hot_share is not None:
        return _decoded(simulate(SimulationSettings(events=events, customers=customers, hot_share=hot_share)))
    each = events // customers
    begun: dict[str, Records] = {}
    for record in _decoded(simulate(SimulationSettings(events=BASE_EVENTS))):
        theirs = begun.setdefault(record[0], [])
        if len(theirs) < each:
            theirs.append(record)
    full = [theirs for theirs in begun.values() if len(theirs) == each]
    made: Records = []
    for number in range(customers):
        turn, which = divmod(number, len(full))
        ending = b"~%d" % turn
        for subject, time_ms, payload in full[which]:
            made.append((subject + ending.decode(), time_ms, renamed(payload, ending)))
    made.sort(key=itemgetter(1))
    return made


def _decoded(lines: Iterable[bytes]) -> Records:
    decode = Decoder(Settings()).decode
    made: Records = []
    for line in lines:
        subject, fact = decode(line)
        made.append((subject, fact.time_ms, b"\x1f" + line))
    return made


def _measure(
    results: Results, stack: Stack, folder: Path, customers: int, hot_share: float | None, parallelism: int
) -> float:
    """Events a second."""
    events = EVENTS.get(customers, customers * 5)
    mix = "" if hot_share is None else f"-{round(100 * hot_share)}"
    spec = live_spec(stack, f"grown{customers}{mix}.", parallelism)
    make_topics(spec, PARTITIONS)
    made = log(customers, events, hot_share)
    assert len(made) == events, f"{len(made):,} events were made, not {events:,}"
    fill(stack.plan.bootstrap, spec.topics.events.name, made)
    watched, told = alone(grown, spec, stack, folder, events, SETTINGS)
    restored_s = alone(_restored_s, spec, stack, folder, max(time_ms for _, time_ms, _ in made) + 1)
    _wipe(spec)
    name = f"{customers:,} customers"
    if hot_share is not None:
        name += f", one with {hot_share:.0%} of the events" if hot_share else " of the shop's own mix"
    results.add(f"{name}, {events:,} events", "events/s", watched.overall_per_s())
    last = told["latest"]["completed"]
    results.add("  state in the last checkpoint", "MB", last["state_size"] / 1e6)
    results.add("  new in it", "MB", last["checkpointed_size"] / 1e6)
    durations = told["summary"]["end_to_end_duration"]
    results.add("  checkpoints, end to end, p50", "ms", float(durations["p50"]))
    results.add("  checkpoints, end to end, p99", "ms", float(durations["p99"]))
    results.add("  restored", "s", restored_s)
    return watched.overall_per_s()


def _restored_s(spec: LiveSpec, stack: Stack, folder: Path, now_ms: int) -> float:
    """From `submit` until an event of `now_ms` that waited is in Redis."""
    line = (
        b'{"event_id":"probe","timestamp":%d,"customer_id":"probe","type":"product_viewed","product_id":"p"}' % now_ms
    )
    fill(stack.plan.bootstrap, spec.topics.events.name, [("probe", now_ms, b"\x1f" + line)])
    cluster = Cluster(stack.plan.rest)
    client: Any = spec.redis.reached()
    key = Keys(spec.redis.prefix).profile("probe")
    while cluster.free_slots() < spec.parallelism:
        time.sleep(0.1)
    began_s = time.monotonic()
    _, job_id = submitted(spec, stack, folder, SETTINGS, LATEST)
    while not client.exists(key):
        assert time.monotonic() < began_s + PATIENCE_S, "not restored"
        time.sleep(0.02)
    took_s = time.monotonic() - began_s
    cluster.cancel(job_id)
    return took_s


def _wipe(spec: LiveSpec) -> None:
    """Make room for the next job."""
    client: Any = spec.redis.reached()
    client.flushall()


if __name__ == "__main__":
    main()
