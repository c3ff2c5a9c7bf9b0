"""What the ways to keep state and to take checkpoints cost the live job: RocksDB or the heap, aligned or not.

    python -m benchmarks.kafka_checkpoints [--customers 10000] [--parallelism 2]

On a cluster of this machine, each with the same log of the simulated shop, as fast as the job can: so records queue
before every operator, which is when an aligned checkpoint has to wait for its barriers to come through. The rate is
that from the first event to the last; times of checkpoints are Flink's, from the trigger to the last subtask's end.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.alone import alone
from benchmarks.kafka_growth import EVENTS, SETTINGS, log
from benchmarks.kafka_peers import PARTITIONS, PLAN
from benchmarks.kafka_segmill import grown, live_spec, make_topics
from benchmarks.results import Results
from benchmarks.topic import fill
from jobs.stack.stack import Stack

WAYS = {
    "RocksDB, aligned": SETTINGS,
    "RocksDB, unaligned": {**SETTINGS, "execution.checkpointing.unaligned.enabled": "true"},
    "heap, aligned": {"state.backend.type": "hashmap"},
}


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="The live job with several ways to keep state and take checkpoints.")
    parser.add_argument("--customers", type=int, default=10_000)
    parser.add_argument("--parallelism", type=int, default=2)
    options = parser.parse_args()
    results = Results("kafka_checkpoints", "The live job's checkpoints", vars(options))
    events = EVENTS.get(options.customers, options.customers * 5)
    made = log(options.customers, events)
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        stack = Stack(Path(name) / "stack", owned=True)
        try:
            stack.up(PLAN)
            for number, (way, settings) in enumerate(WAYS.items()):
                spec = live_spec(stack, f"checkpoints{number}.", options.parallelism)
                make_topics(spec, PARTITIONS)
                fill(stack.plan.bootstrap, spec.topics.events.name, made)
                watched, told = alone(grown, spec, stack, Path(name), events, settings)
                client: Any = spec.redis.reached()
                client.flushall()
                results.add(f"{way}: {events:,} events", "events/s", watched.overall_per_s())
                _add_checkpoints(results, told)
        finally:
            stack.down(wipe=True)
    results.finish()


def _add_checkpoints(results: Results, told: dict[str, Any]) -> None:
    last, durations = told["latest"]["completed"], told["summary"]["end_to_end_duration"]
    results.add("  completed", "checkpoints", float(told["counts"]["completed"]))
    results.add("  failed", "checkpoints", float(told["counts"]["failed"]))
    results.add("  end to end, p50", "ms", float(durations["p50"]))
    results.add("  end to end, p99", "ms", float(durations["p99"]))
    results.add("  state in the last one", "MB", last["state_size"] / 1e6)
    results.add("  new in it", "MB", last["checkpointed_size"] / 1e6)


if __name__ == "__main__":
    main()
