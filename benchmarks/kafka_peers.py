"""The same customer logic on a Flink cluster, in Bytewax and in Quix Streams, in turn, from one Kafka topic to another.

    python -m benchmarks.kafka_peers [--events 200000] [--repeat 3] [--python .bench-venv/bin/python]

Flink and Quix: exactly once. Bytewax: snapshots every ten seconds, its output at least once, which is the most it has.
The job at parallelism 1 and 2, the others with one worker. The numbers of segment changes must be the same, but for
corrections. Then the live job itself, with similar items and Redis, at parallelism 1 and 2. benchmarks/README.md tells
what differs.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.alone import alone
from benchmarks.embedded import Watched
from benchmarks.kafka_segmill import customers_only, live_spec, make_topics, whole
from benchmarks.results import Results
from benchmarks.topic import committed, fill, make_topic
from benchmarks.workload import Records, records
from jobs.stack.plan import StackPlan
from jobs.stack.stack import Stack

PLAN = StackPlan(brokers=1, task_managers=2, kafka_port=25_900, flink_port=25_920, redis_port=25_930)
PARALLELISMS = (1, 2)
LEEWAY = 0.005
"""Events of one millisecond may be said one by one and corrected, or together, as the watermark comes."""
PARTITIONS = 4
"""Of the live job's topic; the peers and the job beside them read a topic of one, as one worker does."""


def main() -> None:
    """Measure, print, keep."""
    parser = argparse.ArgumentParser(description="Bytewax and Quix Streams with the same functions, from Kafka.")
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--python", type=Path, default=Path(".bench-venv/bin/python"))
    options = parser.parse_args()
    kept = {"events": options.events, "repeat": options.repeat, **_versions(options.python)}
    results = Results("kafka_peers", "From Kafka to Kafka: the job on a cluster, Bytewax, Quix Streams", kept)
    made = records(options.events)
    with TemporaryDirectory(prefix="segmill-bench-") as name:
        folder = Path(name)
        stack = Stack(folder / "stack", owned=True)
        try:
            stack.up(PLAN)
            _peers(results, stack, folder, made, options)
            _live(results, stack, folder, made, options.repeat)
        finally:
            stack.down(wipe=True)
    results.finish()


def _peers(results: Results, stack: Stack, folder: Path, made: Records, options: Any) -> None:
    newest_ms = max(time_ms for _, time_ms, _ in made)
    ours: dict[int, list[Watched]] = {parallelism: [] for parallelism in PARALLELISMS}
    theirs: dict[str, list[dict[str, Any]]] = {"kafka_bytewax_flow": [], "kafka_quix_app": []}
    changes: dict[str, set[int]] = {
        **{_ours(parallelism): set() for parallelism in ours},
        **{one: set() for one in theirs},
    }
    for number in range(options.repeat):
        spec = live_spec(stack, f"one{number}.", 1)
        make_topics(spec, 1)
        fill(stack.plan.bootstrap, spec.topics.events.name, made)
        said = 0
        for parallelism, runs in ours.items():
            beside = live_spec(stack, spec.topics.prefix, parallelism)
            runs.append(alone(customers_only, beside, stack, folder, len(made), newest_ms))
            said, before = committed(stack.plan.bootstrap, spec.topics.segment_changes.name), said
            changes[_ours(parallelism)].add(said - before)
        for module, told in theirs.items():
            out = f"{module}-{number}"
            make_topic(stack.plan.bootstrap, out, 1)
            at = (stack.plan.bootstrap, spec.topics.events.name, out, newest_ms, len(made), folder / out)
            told.append(_peer(options.python, module, *map(str, at)))
            changes[module].add(committed(stack.plan.bootstrap, out))
    counts = [count for found in changes.values() for count in found]
    assert max(counts) - min(counts) <= LEEWAY * max(counts), changes
    results.notes.append(f"Segment changes: {', '.join(f'{name} {sorted(found)}' for name, found in changes.items())}")
    for parallelism, runs in ours.items():
        name = f"job on the cluster, parallelism {parallelism}, exactly once: steady"
        results.add(name, "events/s", *(one.steady_per_s() for one in runs))
    for module, label in (("kafka_bytewax_flow", "Bytewax"), ("kafka_quix_app", "Quix Streams")):
        rates = [run["steady_per_s"] for run in theirs[module]]
        results.add(f"{label}: steady", "events/s", *rates)
        for parallelism, runs in ours.items():
            ratios = [one.steady_per_s() / rate for one, rate in zip(runs, rates, strict=True)]
            results.add(f"  {_ours(parallelism)} / {label}", "ratio", *ratios)


def _ours(parallelism: int) -> str:
    return "job" if parallelism == 1 else f"job at parallelism {parallelism}"


def _live(results: Results, stack: Stack, folder: Path, made: Records, repeat: int) -> None:
    for parallelism in PARALLELISMS:
        runs: list[Watched] = []
        for number in range(repeat):
            spec = live_spec(stack, f"live{parallelism}-{number}.", parallelism)
            make_topics(spec, PARTITIONS)
            fill(stack.plan.bootstrap, spec.topics.events.name, made)
            runs.append(alone(whole, spec, stack, folder, len(made)))
        name = f"live job with similar items and Redis, parallelism {parallelism}: from the first event to the last"
        results.add(name, "events/s", *(one.overall_per_s() for one in runs))


def _peer(python: Path, module: str, *arguments: str) -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [str(python), "-m", f"benchmarks.{module}", *arguments]
    finished = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return found


def _versions(python: Path) -> dict[str, str]:
    code = "from importlib.metadata import version as v; print(v('bytewax'), v('quixstreams'))"
    found = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return {"bytewax": found[0], "quixstreams": found[1]}


if __name__ == "__main__":
    main()
