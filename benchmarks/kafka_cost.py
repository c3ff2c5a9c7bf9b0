"""Where the CPU time of the live job goes: by server, and by thread of the TaskManagers, per event.

    python -m benchmarks.kafka_cost [--parallelism 2] [--rate 3000] [--from 100000] [--to 300000] [--population]

The job reads the history of `benchmarks/kafka_latency` for that rate as fast as it can; time is counted between two
numbers of events, for all processes of the stack, this one excepted. docs/scaling.md goes on from here.
"""

import argparse
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.alone import alone
from benchmarks.embedded import cpu_s, process_cpu_s
from benchmarks.kafka_latency import JOB_STARTS_S, PATIENCE_S, fill_history, started
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import live_spec, make_topics, shown
from benchmarks.lapse import STEADY_S, lapse, lapse_settings
from benchmarks.results import Results
from jobs.live.rest import Cluster
from jobs.stack.stack import Stack

THREADS = (
    ("customer", "customers, and their writes to Redis"),
    ("item", "items"),
    ("publish", "lists of similar items, and their writes to Redis"),
    ("assign", "customers beside the population, and their writes to Redis"),
    ("gather", "the population"),
    ("population", "the population"),
    ("Source", "reading the topic"),
    ("kafka-producer", "writing topics"),
    ("DataStreamToTab", "writing topics"),
    ("C1 Compiler", "Java compiles"),
    ("C2 Compiler", "Java compiles"),
    ("GC Thread", "Java collects garbage"),
    ("G1 ", "Java collects garbage"),
)
"""Beginnings of the names of threads, as Linux cuts them, and what they do."""
OTHERS = "others: network, timers, checkpoints"


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="CPU time per event of the live job, by server and thread.")
    parser.add_argument("--parallelism", type=int, default=2)
    parser.add_argument("--rate", type=int, default=3_000)
    parser.add_argument("--population", action="store_true", help="with a population")
    parser.add_argument("--from", dest="first", type=int, default=100_000)
    parser.add_argument("--to", dest="last", type=int, default=300_000)
    options = parser.parse_args()
    results = Results("kafka_cost", "Where the live job's CPU time goes", vars(options))
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        stack = Stack(Path(name) / "stack", owned=True)
        try:
            stack.up(PLAN)
            _measure(results, stack, Path(name), options)
        finally:
            stack.down(wipe=True)
    results.finish()


def _measure(results: Results, stack: Stack, folder: Path, options: argparse.Namespace) -> None:
    settings = lapse_settings()
    if options.population:
        settings = msgspec.structs.replace(settings, population={"enabled": True})
    spec = live_spec(stack, "cost.", options.parallelism, settings)
    make_topics(spec, PARTITIONS)
    history = lapse(options.rate, STEADY_S + 20).history
    fill_history(spec, int((time.time() + JOB_STARTS_S) * 1_000), history)
    count = len(history)
    assert options.last < count, f"the history has {count:,} events only"
    job_id, progress = alone(started, spec, stack, folder)
    deadline = time.monotonic() + PATIENCE_S
    seen = []
    for wanted in (options.first, options.last):
        while (events := shown(progress, count)) < wanted:
            assert time.monotonic() < deadline, f"{events} of {wanted} events"
            time.sleep(0.1)
        seen.append((time.monotonic(), events, _cpu_s(stack)))
    Cluster(stack.plan.rest).cancel(job_id)
    (began_s, first, before), (ended_s, last, after) = seen
    events = last - first
    results.add(f"live job, parallelism {options.parallelism}", "events/s", events / (ended_s - began_s))
    spent_us = {name: (cpu_s - before.get(name, 0.0)) / events * 1e6 for name, cpu_s in after.items()}
    results.add("CPU time of all servers", "us/event", sum(us for (_, part), us in spent_us.items() if not part))
    for (server, part), us in sorted(spent_us.items(), key=lambda one: (one[0][0], -one[1])):
        results.add(f"  {server}{part and ': '}{part}", "us/event", us)


def _cpu_s(stack: Stack) -> dict[tuple[str, str], float]:
    """CPU seconds so far by (kind of server, "") and, of TaskManagers, by (kind, what threads do)."""
    found: dict[tuple[str, str], float] = defaultdict(float)
    for server in stack.status():
        if server.pid is None:
            continue
        kind = server.name.partition("-")[0]
        found[kind, ""] += process_cpu_s(server.pid)
        if kind == "taskmanager":
            for thread in Path("/proc", str(server.pid), "task").iterdir():
                with suppress(OSError):  # it has ended
                    found[kind, _part(thread)] += cpu_s(thread)
    return dict(found)


def _part(thread: Path) -> str:
    name = (thread / "comm").read_text().strip()
    return next((what for start, what in THREADS if name.startswith(start)), OTHERS)


if __name__ == "__main__":
    main()
