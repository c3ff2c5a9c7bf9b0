"""Where the CPU time of the live job goes: by server, and by thread of the TaskManagers, per event.

    python -m benchmarks.kafka_cost [--parallelism 2] [--rate 3000] [--from 100000] [--to 300000] [--population]

The job reads the history of `benchmarks/kafka_latency` for that rate as fast as it can; time is counted between two
numbers of events, for all processes of the stack, this one excepted. docs/scaling.md goes on from here.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.alone import alone
from benchmarks.kafka_latency import JOB_STARTS_S, PATIENCE_S, fill_history, started
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import live_spec, make_topics, shown
from benchmarks.lapse import STEADY_S, lapse, lapse_settings
from benchmarks.results import Results
from benchmarks.servers_cpu import add_spent, servers_cpu_s
from jobs.live.rest import Cluster
from jobs.stack.stack import Stack


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
        seen.append((time.monotonic(), events, servers_cpu_s(stack)))
    Cluster(stack.plan.rest).cancel(job_id)
    (began_s, first, before), (ended_s, last, after) = seen
    events = last - first
    results.add(f"live job, parallelism {options.parallelism}", "events/s", events / (ended_s - began_s))
    add_spent(results, before, after, events)


if __name__ == "__main__":
    main()
